# SPDX-License-Identifier: Apache-2.0
"""Build and read Postfix lookup tables with postmap(1), postalias(1) and postconf(1).

A table is named as Postfix names it, ``type:path``, for example ``hash:/etc/postfix/sender_relay``. The path
is the source text; a type that is compiled has the compiled table beside it, with a suffix of its own. The
type ``auto`` stands for Postfix's own ``default_database_type``.

A table may hold passwords. Only :py:func:`query` returns values; no other function, error or log line holds
one.

Sources: postmap(1), postalias(1), postconf(1), and DATABASE_README in Postfix's documentation.
"""

from __future__ import annotations

import postfix_tables


def build(table: str, alias: bool = False, config_dir: str | None = None) -> bool:
    """
    Compile a table beside itself and rename it into place.

    The source is copied into a new directory of mode 0700 beside it and compiled there, so that a build that
    fails or is killed leaves the compiled table as it was, its mode is not inherited from an older one, and
    no old value stays in free pages (hash is an empty table while it is built; lmdb keeps deleted values).
    The compiled table gets owner, mode and modification time of its source. Anything that postmap(1) prints
    is a failure: on duplicate keys and on bad lines it warns and exits 0. The build always happens; ask
    :py:func:`stale` whether it is needed.

    table : str
        The table, ``type:path``. Types: hash, btree, lmdb, cdb, auto; nothing is done for a type that is not
        compiled.
    alias : bool, default False
        Whether the source is in the form of aliases(5), for postalias(1).
    config_dir : str or None, default None
        Postfix's configuration directory. Default: Postfix's own, or an empty configuration where that has no
        main.cf.

    Returns True when the table was compiled and False when its type is not compiled.

    Raises CommandExecutionError, with the line numbers and kinds of all problems and without a key or a value, when
    it could not be.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.build hash:/usr/local/etc/postfix/sender_relay
        salt-call --local postmap.build hash:/etc/aliases alias=True
    """
    return postfix_tables.build(table, alias, config_dir)


def compiled(table: str, config_dir: str | None = None) -> str | None:
    """
    Return the path of the compiled file of a table, whether it is there or not.

    table : str
        The table, ``type:path``.
    config_dir : str or None, default None
        Postfix's configuration directory, asked for the type ``auto``.

    Returns None for a type that is not compiled.

    Raises CommandExecutionError for a type that Postfix does not have, and for a table that is not named ``type:path``.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.compiled lmdb:/usr/local/etc/postfix/sender_relay
    """
    return postfix_tables.compiled(table, config_dir)


def stale(table: str, config_dir: str | None = None) -> bool:
    """
    Tell whether a table has to be built: whether its compiled file is not what its source asks for.

    It is stale when it is missing, not a file, not of its type, older than the source, of another owner, of a
    mode wider than the source's, or without rows where the source has some (a build of a hash table that was
    killed). No Postfix program is run.

    table : str
        The table, ``type:path``. A type that is not compiled is never stale.
    config_dir : str or None, default None
        Postfix's configuration directory, asked for the type ``auto``, which does run postconf(1).

    Returns True if it has to be built.

    Raises CommandExecutionError when there is no source, for a type that Postfix does not have, and for a table that is
    not named ``type:path``.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.stale hash:/usr/local/etc/postfix/sender_relay
    """
    return postfix_tables.stale(table, config_dir)


def query(key: str, table: str, config_dir: str | None = None) -> str | None:
    """
    Look up a key in a table, as ``postmap -q`` does.

    The value is printed: of a table with passwords, such as ``saslpass``, that is a password.

    key : str
        The key. Postfix folds it to lower case for most types. It is looked up as it is, with no partial
        keys.
    table : str
        The table, ``type:path``, of any type that Postfix has.
    config_dir : str or None, default None
        Postfix's configuration directory.

    Returns the value, or None when the table does not have the key.

    Raises CommandExecutionError when it cannot be read, and for a key that is empty, is ``-`` or holds a NUL byte.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.query alice@example.com hash:/usr/local/etc/postfix/sender_relay
    """
    return postfix_tables.query(key, table, config_dir)


def keys(table: str, config_dir: str | None = None) -> list[str]:
    """
    List the keys of a table, without the values.

    table : str
        The table, ``type:path``. A database that postalias(1) made also holds the rows ``@`` and ``YP_...``
        that NIS asks for.
    config_dir : str or None, default None
        Postfix's configuration directory.

    Returns the keys, sorted.

    Raises CommandExecutionError when the table cannot be read or its type cannot list.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.keys hash:/usr/local/etc/postfix/saslpass
    """
    return postfix_tables.keys(table, config_dir)


def types(config_dir: str | None = None) -> list[str]:
    """
    List the table types that the installed Postfix has.

    config_dir : str or None, default None
        Postfix's configuration directory. Default: Postfix's own, or an empty configuration where that has no
        main.cf.

    Returns the names, sorted.

    Raises CommandExecutionError when Postfix is not installed or postconf(1) fails.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.types
    """
    return postfix_tables.types(config_dir)


def default_type(config_dir: str | None = None) -> str:
    """
    Return the type that ``auto`` stands for, Postfix's ``default_database_type``.

    config_dir : str or None, default None
        Postfix's configuration directory: its main.cf may name another type than Postfix was built with.

    Raises CommandExecutionError when Postfix is not installed or postconf(1) fails.

    CLI Example:

    .. code-block:: bash

        salt-call --local postmap.default_type
    """
    return postfix_tables.default_type(config_dir)
