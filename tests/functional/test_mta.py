# SPDX-License-Identifier: Apache-2.0
"""mta through the loader, on the machine that runs this: Debian, with Postfix installed."""


def test_this_machine(loaders: object) -> None:
    mta = loaders.modules.mta
    assert mta.current() == {
        "sendmail": "/usr/sbin/sendmail",
        "package": "postfix",
        "mta": "postfix",
        "alternatives": None,
    }
    assert mta.installed_rivals() == []
    assert mta.installed_rivals(name="exim4") == ["postfix"]
    assert mta.select("postfix") is True


def test_selected(loaders: object, testmode: bool) -> None:
    ret = loaders.states.mta.selected(name="postfix", test=testmode)
    assert (ret.result, ret.changes) == (True, {})


def test_selected_of_another_one(loaders: object) -> None:
    ret = loaders.states.mta.selected(name="exim4", test=False)
    assert (ret.result, ret.changes) == (False, {})
    assert ret.comment == (
        "/usr/sbin/sendmail belongs to the package postfix: remove that package and install exim4"
    )
