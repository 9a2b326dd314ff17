# SPDX-License-Identifier: Apache-2.0
"""
How providers of mail are reached, from a sheet: written by ``python -m tools.providers``, not by hand.

For each relay a line of its port, TLS mode, form of the user name and kind of login, and of how mail is fetched
(protocol, host, port, TLS mode), then its domains. Facts on 858 domains from Thunderbird's ISP database
(github.com/thunderbird/autoconfig, commit c6ad796 of 2026-03-12, which is under the Mozilla Public License 2.0); what
is added by hand is in ``smarthost_providers``.
"""

SHEET = """\
asmtp.mail.dk 587 starttls address password imap imap.mail.dk 993 implicit
 mail.dk
email.active24.com 465 implicit address password imap email.active24.com 993 implicit
 active24.com smtp.cz
email.nili.email 465 implicit address password imap email.nili.email 993 implicit
 nili.ca
mail.aikis.or.jp 587 starttls local-part password pop3 mail.aikis.or.jp 995 implicit
 vm.aikis.or.jp
mail.biglobe.ne.jp 465 implicit address password pop3 mail.biglobe.ne.jp 995 implicit
 biglobe.ne.jp
mail.btinternet.com 465 implicit address password imap mail.btinternet.com 993 implicit
 btinternet.com btopenworld.com talk21.com
mail.clustermail.de 587 starttls address password imap mail.clustermail.de 993 implicit
 clustermail.de
mail.gandi.net 465 implicit address password imap mail.gandi.net 993 implicit
 gandi.net
mail.gmx.com 465 implicit address password imap imap.gmx.com 993 implicit
 gmx.ca gmx.cn gmx.co.in gmx.co.uk gmx.com gmx.com.br gmx.com.my gmx.com.tr gmx.es gmx.fr gmx.hk
 gmx.ie gmx.it gmx.li gmx.ph gmx.pt gmx.ru gmx.se gmx.sg gmx.tm gmx.tw gmx.us
mail.gmx.net 465 implicit address password imap imap.gmx.net 993 implicit
 email.gmx gmx.at gmx.biz gmx.ch gmx.de gmx.eu gmx.info gmx.net gmx.org mail.gmx mein.gmx
mail.ipax.at 465 implicit address password imap mail.ipax.at 993 implicit
 ipax.at
mail.mnet.ne.jp 587 starttls address password imap mail.mnet.ne.jp 993 implicit
 mnet.ne.jp
mail.mopera.net 465 implicit local-part password imap mail.mopera.net 993 implicit
 mopera.net
mail.postecert.it 465 implicit address password imap mail.postecert.it 993 implicit
 postecert.it
mail.runestone.net 587 starttls local-part password pop3 mail.runestone.net 995 implicit
 runestone.net
mail.schwaz.net 465 implicit address password imap imap.schwaz.net 993 implicit
 schwaz.net
mail.twc.com 587 starttls address password imap mail.twc.com 993 implicit
 rr.com
mail.your-server.de 465 implicit address password imap mail.your-server.de 993 implicit
 your-server.de
mail.zeelandnet.nl 465 implicit local-part password imap mail.zeelandnet.nl 993 implicit
 zeelandnet.nl
mailhost.pdx.edu 465 implicit address password imap psumail.pdx.edu 993 implicit
 pdx.edu
mbox.iij4u.or.jp 587 starttls other password pop3 mbox.iij4u.or.jp 110 starttls
 bc.iij4u.or.jp bk.iij4u.or.jp bp.iij4u.or.jp bu.iij4u.or.jp dd.iij4u.or.jp ff.iij4u.or.jp
 hh.iij4u.or.jp kk.iij4u.or.jp nn.iij4u.or.jp pp.iij4u.or.jp rr.iij4u.or.jp ss.iij4u.or.jp
mbox.iijmio-mail.jp 587 starttls other password pop3 mbox.iijmio-mail.jp 110 starttls
 e23.jp iijmio-mail.jp miobox.jp miomio.jp x-il.jp
mobile.charter.net 587 implicit address password imap mobile.charter.net 993 implicit
 bresnan.net charter.net spectrum.net
msa.cc9.ne.jp 465 implicit local-part password imap pop.cc9.ne.jp 993 implicit
 cc9.ne.jp
out.alice.it 587 starttls address password imap in.alice.it 143 starttls
 alice.it
out.email.it 465 implicit address password imap in.email.it 993 implicit
 email.it
out.virgilio.it 465 implicit address password imap in.virgilio.it 993 implicit
 virgilio.it
outbound.att.net 465 implicit address oauth2-or-password imap imap.mail.att.net 993 implicit
 ameritech.net att.net bellsouth.net currently.com flash.net nvbell.net pacbell.net prodigy.net
 sbcglobal.net snet.net swbell.net wans.net
outgoing.mit.edu 465 implicit local-part password imap outlook.office365.com 993 implicit
 mit.edu
plato.cgl.ucsf.edu 587 starttls local-part password imap plato.cgl.ucsf.edu 993 implicit
 cgl.ucsf.edu
poczta.o2.pl 465 implicit local-part password imap poczta.o2.pl 993 implicit
 go2.pl o2.pl prokonto.pl tlen.pl
posteo.de 465 implicit address password imap posteo.de 993 implicit
 posteo.at posteo.be posteo.ca posteo.ch posteo.cl posteo.co posteo.co.uk posteo.com posteo.com.br
 posteo.cr posteo.cz posteo.de posteo.dk posteo.ee posteo.es posteo.eu posteo.fi posteo.gl posteo.gr
 posteo.hn posteo.hr posteo.hu posteo.ie posteo.in posteo.is posteo.it posteo.jp posteo.la posteo.li
 posteo.lt posteo.lu posteo.me posteo.mx posteo.my posteo.net posteo.nl posteo.no posteo.nz
 posteo.org posteo.pe posteo.pl posteo.pm posteo.pt posteo.ro posteo.se posteo.sg posteo.si
 posteo.tn posteo.uk posteo.us
promail.ptd.net 465 implicit local-part password imap promail.ptd.net 993 implicit
 ptd.net
relay.proximus.be 587 starttls address password imap imap.proximus.be 993 implicit
 belgacom.net kidcity.be proximus.be skynet.be
secure.emailsrvr.com 465 implicit address password imap secure.emailsrvr.com 993 implicit
 emailsrvr.com
securemail.a1.net 587 starttls address password imap securemail.a1.net 993 implicit
 a1.net aon.at
securesmtp.t-online.de 465 implicit address password imap secureimap.t-online.de 993 implicit
 magenta.de t-online.de
send.one.com 465 implicit address password imap imap.one.com 993 implicit
 one.com
send.xtra.co.nz 465 implicit address password imap imap.xtra.co.nz 993 implicit
 xtra.co.nz
smtp-mail.outlook.com 587 starttls address oauth2-only imap outlook.office365.com 993 implicit
 hotmail.be hotmail.ca hotmail.cl hotmail.co.id hotmail.co.il hotmail.co.in hotmail.co.jp
 hotmail.co.kr hotmail.co.th hotmail.co.uk hotmail.co.za hotmail.com hotmail.com.ar hotmail.com.au
 hotmail.com.br hotmail.com.hk hotmail.com.tr hotmail.com.tw hotmail.com.vn hotmail.cz hotmail.de
 hotmail.dk hotmail.es hotmail.fi hotmail.fr hotmail.gr hotmail.hu hotmail.it hotmail.lt hotmail.lv
 hotmail.my hotmail.nl hotmail.no hotmail.ph hotmail.rs hotmail.se hotmail.sg hotmail.sk live.at
 live.be live.ca live.cl live.cn live.co.jp live.co.kr live.co.uk live.co.za live.com live.com.ar
 live.com.au live.com.mx live.com.my live.com.ph live.com.pt live.com.sg live.de live.dk live.fi
 live.fr live.hk live.ie live.in live.it live.jp live.nl live.no live.ru live.se livemail.tw msn.com
 olc.protection.outlook.com outlook.at outlook.be outlook.cl outlook.co.id outlook.co.il
 outlook.co.th outlook.com outlook.com.ar outlook.com.au outlook.com.br outlook.com.gr
 outlook.com.tr outlook.com.vn outlook.cz outlook.de outlook.dk outlook.es outlook.fr outlook.hu
 outlook.ie outlook.in outlook.it outlook.jp outlook.kr outlook.lv outlook.my outlook.ph outlook.pt
 outlook.sa outlook.sg outlook.sk windowslive.com
smtp.126.com 465 implicit address password imap imap.126.com 993 implicit
 126.com
smtp.163.com 465 implicit address password imap imap.163.com 993 implicit
 163.com
smtp.1und1.de 465 implicit address password imap imap.1und1.de 993 implicit
 go4more.de kundenserver.de online.de onlinehome.de schlund.de sofort-start.de sofort-surf.de
 sofortstart.de sofortsurf.de
smtp.aol.com 465 implicit address oauth2-or-password imap imap.aol.com 993 implicit
 aim.com aol.co.nz aol.co.uk aol.com aol.com.ar aol.com.au aol.com.br aol.com.mx aol.de aol.es
 aol.fr aol.it aol.se compuserve.com cs.com mail.gm0.yahoodns.net netscape.com netscape.net
 verizon.net wmconnect.com
smtp.blueyonder.co.uk 465 implicit address password imap imap4.blueyonder.co.uk 993 implicit
 blueyonder.co.uk
smtp.centurylink.net 587 starttls address password imap mail.centurylink.net 993 implicit
 centurylink.net embarqmail.com
smtp.cesky-hosting.cz 465 implicit address password imap mail.cesky-hosting.cz 993 implicit
 thinline.cz
smtp.comcast.net 465 implicit address oauth2-or-password imap imap.comcast.net 993 implicit
 comcast.net
smtp.daum.net 465 implicit address password imap imap.daum.net 993 implicit
 daum.net
smtp.dondominio.com 465 implicit address password imap imap.dondominio.com 993 implicit
 dondominio.com
smtp.elpasotel.net 587 starttls address password imap mail.elpasotel.net 993 implicit
 elpasotel.net
smtp.eu.appsuite.cloud 587 starttls address password imap imap.eu.appsuite.cloud 993 implicit
 cloudeu.xion.oxcs.net
smtp.fastmail.com 465 implicit address oauth2-or-password imap imap.fastmail.com 993 implicit
 messagingengine.com
smtp.fastwebnet.it 587 starttls address password imap imap.fastwebnet.it 993 implicit
 fastwebnet.it
smtp.free.fr 465 implicit local-part password imap imap.free.fr 993 implicit
 free.fr
smtp.gigahost.dk 587 starttls address password imap mail.gigahost.dk 993 implicit
 gigahost.dk
smtp.gmail.com 465 implicit address oauth2-or-password imap imap.gmail.com 993 implicit
 gmail.com google.com googlemail.com jazztel.es nyu.edu umich.edu
smtp.gransy.com 465 implicit address password imap imap.gransy.com 993 implicit
 gransy.com internetserver.cz
smtp.jet.ne.jp 465 implicit local-part password imap imap.jet.ne.jp 993 implicit
 jet.ne.jp
smtp.jubii.dk 465 implicit address password imap imap.jubii.dk 993 implicit
 123mail.dk 12fuel.dk 12mail.dk 12move.dk 2night.dk 2senior.dk 9260.dk anarki.dk anderledes.dk
 backbone.dk bedstemail.dk begavet.dk bemybaby.dk bitnisse.dk christensen.dk christiansen.dk city.dk
 cool.dk cyberdude.dk cyberjunkie.dk dancemail.dk e-box.dk e-mail.dk e-postboks.dk elinstallatoer.dk
 elsker.dk elvis.dk email.dk eriksen.dk fald.dk fedt.dk feminin.dk flirt.dk forening.dk fraekkert.dk
 frandsen.dk frederiksen.dk funkymail.dk gadefejer.dk gaf-net.dk gason.dk grin.dk groovymail.dk
 grov.dk hammergod.dk hansen.dk hardworking.dk heaven.dk heavymail.dk hemmelig.dk henningsen.dk
 henriksen.dk hippie.dk huleboer.dk husk-mig.dk hyperpost.dk iloveu.dk inbound.dk indbakke.dk
 infile.dk info.dk io.dk it.dk iversen.dk jacobsen.dk jakobsen.dk johansen.dk jubii.dk jubiichat.dk
 jubiiconnect.dk jubiigames.dk jubiimail.dk jubiipost.dk jubiipostadresse.dk jyde.dk klog.dk
 knudsen.dk knus.dk krudt.dk kulturel.dk kvalme.dk larsen.dk laursen.dk lazy.dk lystig.dk madsen.dk
 mail-mig.dk mail.jubii.dk mail4.dk mail6.dk mail8.dk maildanmark.dk mailroyal.dk mailster.dk
 manmail.dk maskulin.dk mathiesen.dk mikaelsen.dk mikkelsen.dk min-postkasse.dk minprivatemail.dk
 mortensen.dk musling.dk natteliv.dk netbruger.dk nicemail.dk nospam.dk olesen.dk pedal.dk
 pedersen.dk pengemand.dk petersen.dk pokerface.dk popme.dk postman.dk poulsen.dk privatmail.dk
 privatpost.dk quake.dk rasmussen.dk ready.dk retromail.dk ringmybell.dk secret.dk sexysurfer.dk
 simonsen.dk skrivnu.dk sleepy.dk sorensen.dk sporty.dk submail.dk superbruger.dk svendsen.dk
 talent.dk tanke.dk tastmig.dk taxidriver.dk teens.dk teknik.dk thomsen.dk tjekket.dk trashcan.dk
 trustme.dk ungdom.dk vestergaard.dk video.dk vittig.dk wildwildweb.dk zoomail.dk zybermail.dk
smtp.kelcom.net 587 starttls address password imap pop.kelcom.net 993 implicit
 kelcom.net
smtp.kpnmail.nl 465 implicit address password imap imap.kpnmail.nl 993 implicit
 freeler.nl hetnet.nl kpnmail.nl kpnplanet.nl on.nl onsbrabantnet.nl onsmail.nl onsnet.nu
 onsneteindhoven.nl onsnetnuenen.nl planet.nl snelnet.net telfort.nl tip.nl tiscali.nl
 tiscalimail.nl wxs.nl xs4all.nl
smtp.laposte.net 465 implicit local-part password imap imap.laposte.net 993 implicit
 laposte.net
smtp.libero.it 465 implicit address password imap imapmail.libero.it 993 implicit
 blu.it giallo.it inwind.it iol.it libero.it
smtp.mail.com 465 implicit address password imap imap.mail.com 993 implicit
 2die4.com accountant.com activist.com adexec.com africamail.com aircraftmail.com alabama.usa.com
 alaska.usa.com allergist.com alumni.com alumnidirector.com americamail.com amorous.com angelic.com
 archaeologist.com arizona.usa.com artlover.com asia-mail.com atheist.com australiamail.com
 bartender.net berlin.com bigger.com bikerider.com birdlover.com blader.com boardermail.com
 brazilmail.com brew-master.com california.usa.com californiamail.com caress.com catlover.com
 cheerful.com chef.net chemist.com chinamail.com clerk.com cliffhanger.com collector.org
 columnist.com comic.com computer4u.com consultant.com contractor.net coolsite.net counsellor.com
 count.com couple.com cutey.com cyber-wizard.com cyberdude.com cybergal.com dallasmail.com
 dbzmail.com deliveryman.com diplomats.com disciples.com doctor.com doglover.com doramail.com dr.com
 dublin.com earthling.net elvisfan.com email.com engineer.com englandmail.com europe.com
 europemail.com execs.com fan.com feelings.com financier.com fireman.net florida.usa.com
 footballer.com gardener.com geologist.com germanymail.com graduate.org graphic-designer.com
 hackermail.com hairdresser.net hilarious.com hockeymail.com homemail.com hot-shot.com hour.com
 humanoid.net illinois.usa.com iname.com innocent.com inorbit.com instruction.com instructor.net
 insurer.com irelandmail.com italymail.com japan.com journalist.com keromail.com kittymail.com
 koreamail.com lawyer.com legislator.com linuxmail.org london.com loveable.com lovecat.com
 mad.scientist.com madonnafan.com madrid.com mail.com mail.org marchmail.com mexicomail.com
 mindless.com minister.com mobsters.com monarchy.com moscowmail.com munich.com musician.org
 muslim.com myself.com newyork.usa.com null.net nycmail.com oath.com optician.com pacificwest.com
 petlover.com photographer.net playful.com poetic.com politician.com popstar.com post.com
 presidency.com priest.com programmer.net publicist.com realtyagent.com reborn.com reggaefan.com
 religious.com repairman.com representative.com rescueteam.com revenue.com rocketship.com
 rockfan.com rome.com royal.net saintly.com salesperson.net sanfranmail.com scientist.com
 scotlandmail.com secretary.net seductive.com singapore.com snakebite.com songwriter.net soon.com
 spainmail.com teachers.org techie.com technologist.com texas.usa.com thegame.com therapist.net
 toke.com tokyo.com toothfairy.com tvstar.com umpire.com usa.com uymail.com wallet.com webname.com
 weirdness.com who.net whoever.com winning.com witty.com worker.com workmail.com writeme.com
 yours.com
smtp.mail.me.com 587 starttls address password imap imap.mail.me.com 993 implicit
 icloud.com mac.com me.com
smtp.mail.ru 465 implicit address password imap imap.mail.ru 993 implicit
 bk.ru corp.mail.ru inbox.ru list.ru mail.ru
smtp.mail.yahoo.co.jp 465 implicit local-part password pop3 pop.mail.yahoo.co.jp 995 implicit
 yahoo.co.jp
smtp.mail.yahoo.com 465 implicit address oauth2-or-password imap imap.mail.yahoo.com 993 implicit
 am0.yahoodns.net cox.net mail.am0.yahoodns.net myyahoo.com rocketmail.com yahoo.ca yahoo.co.in
 yahoo.co.nz yahoo.co.uk yahoo.com yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.de
 yahoo.es yahoo.fr yahoo.it yahoo.se yahoodns.net ymail.com
smtp.naver.com 465 implicit address password imap imap.naver.com 993 implicit
 naver.com
smtp.ntlworld.com 465 implicit address password imap imap.ntlworld.com 993 implicit
 ntlworld.com
smtp.ocn.ne.jp 465 implicit address password pop3 pop.ocn.ne.jp 995 implicit
 ocn.ad.jp ocn.ne.jp
smtp.office365.com 587 starttls address oauth2-only imap outlook.office365.com 993 implicit
 mail.protection.outlook.com office365.com onmicrosoft.com
smtp.orange.fr 465 implicit address password imap imap.orange.fr 993 implicit
 orange.fr wanadoo.fr
smtp.pobox.com 465 implicit address password imap mail.pobox.com 993 implicit
 pobox.com
smtp.poczta.onet.pl 465 implicit address password imap imap.poczta.onet.pl 993 implicit
 adres.pl amorki.pl autograf.pl buziaczek.pl cyberia.pl onet.com.pl onet.eu onet.pl op.pl opoczta.pl
 poczta.onet.eu poczta.onet.pl pseudonim.pl republika.pl spoko.pl vip.onet.pl vp.pl
smtp.q.com 587 starttls address password imap mail.q.com 993 implicit
 q.com
smtp.qq.com 465 implicit address password imap imap.qq.com 993 implicit
 qq.com
smtp.rambler.ru 465 implicit address password imap imap.rambler.ru 993 implicit
 rambler.ru
smtp.rediffmail.com 586 implicit address password pop3 pop.rediffmail.com 995 implicit
 rediffmail.com
smtp.registrator.cz 587 starttls address password imap imap.registrator.cz 993 implicit
 one.cz
smtp.sapo.pt 465 implicit address password imap imap.sapo.pt 993 implicit
 meo.pt sapo.ao sapo.cv sapo.mz sapo.pt sapo.tl
smtp.seznam.cz 465 implicit address password imap imap.seznam.cz 993 implicit
 email.cz post.cz seznam.cz spoluzaci.cz
smtp.sfr.fr 465 implicit address password imap imap.sfr.fr 993 implicit
 club-internet.fr neuf.fr sfr.fr
smtp.softbank.jp 465 implicit local-part password imap imap.softbank.jp 993 implicit
 i.softbank.jp
smtp.strato.de 465 implicit address password imap imap.strato.de 993 implicit
 rzone.de strato.de
smtp.telstra.com 465 implicit address password imap imap.telstra.com 993 implicit
 bigpond.com bigpond.net bigpond.net.au telstra.com
smtp.teol.net 465 implicit other password imap imap.teol.net 993 implicit
 mtel.tel teol.net
smtp.tim.it 587 starttls address password imap imap.tim.it 143 starttls
 tim.it
smtp.tiscali.it 465 implicit address password imap imap.tiscali.it 993 implicit
 tiscali.it
smtp.tools.sky.com 465 implicit address password imap imap.tools.sky.com 993 implicit
 sky.com
smtp.us.appsuite.cloud 587 starttls address password imap imap.us.appsuite.cloud 993 implicit
 cloudus.xion.oxcs.net
smtp.virgin.net 465 implicit address password imap imap4.virgin.net 993 implicit
 virgin.net
smtp.virginmedia.com 465 implicit address password imap imap.virginmedia.com 993 implicit
 virginmedia.com
smtp.vodafonemail.de 465 implicit address password imap imap.vodafonemail.de 993 implicit
 arcor.de kabelmail.de vodafonemail.de
smtp.web.de 465 implicit local-part password imap imap.web.de 993 implicit
 web.de
smtp.webhuset.no 465 implicit address password imap imap.webhuset.no 993 implicit
 webhuset.no
smtp.websupport.sk 465 implicit address password imap imap.websupport.sk 993 implicit
 websupport.sk
smtp.wp.pl 465 implicit local-part password imap imap.wp.pl 993 implicit
 wp.pl
smtp.yandex.com 465 implicit address password imap imap.yandex.com 993 implicit
 narod.ru ya.ru yandex.by yandex.com yandex.kz yandex.net yandex.ru yandex.ua
smtp.yeah.net 465 implicit address password imap imap.yeah.net 993 implicit
 yeah.net
smtp.ziggo.nl 587 starttls address password imap imap.ziggo.nl 993 implicit
 casema.nl chello.nl hahah.nl home.nl multiweb.nl quicknet.nl razcall.com razcall.nl upcmail.nl
 zeggis.com zeggis.nl ziggo.nl ziggomail.com zinders.nl
smtp.zoho.com 465 implicit address password imap imap.zoho.com 993 implicit
 zoho.com zohomail.com
smtp.zoho.com.au 465 implicit address password imap imap.zoho.com.au 993 implicit
 zoho.com.au zohomail.com.au
smtp.zoho.eu 465 implicit address password imap imap.zoho.eu 993 implicit
 zoho.eu zohomail.eu
smtp.zoho.in 465 implicit address password imap imap.zoho.in 993 implicit
 zoho.in zohomail.in
smtp.zoho.jp 465 implicit address password imap imap.zoho.jp 993 implicit
 zoho.jp zohomail.jp
smtp.zohocloud.ca 465 implicit address password imap imap.zohocloud.ca 993 implicit
 zohocloud.ca zohomailcloud.ca
smtp01.educa.madrid.org 465 implicit local-part password imap imap.educa.madrid.org 993 implicit
 educa.madrid.org
smtpa.cek.ne.jp 465 implicit address password imap imap.cek.ne.jp 993 implicit
 cek.ne.jp
smtpa.iiyama-catv.ne.jp 465 implicit address password imap imap.iiyama-catv.ne.jp 993 implicit
 iiyama-catv.ne.jp
smtpauth.centurytel.net 587 starttls address password pop3 pop.centurytel.net 995 implicit
 centurytel.net clds.net coastalnow.net cochill.net cswnet.com emadisonriver.com emadisonriver.net
 gallatinriver.net grics.net gulftel.com madisonriver.biz mebtel.net
smtpauth.earthlink.net 587 starttls address password imap imap.earthlink.net 993 implicit
 earthlink.net ix.netcom.com mindspring.com
smtpauth.peoplepc.com 587 starttls address password
 peoplepc.com
smtpauths.bluewin.ch 465 implicit address password imap imaps.bluewin.ch 993 implicit
 bluemail.ch bluewin.ch
smtphm.sympatico.ca 587 starttls address password imap imap.bell.net 993 implicit
 bell.net sympatico.ca
smtpout.secureserver.net 465 implicit address password imap imap.secureserver.net 993 implicit
 secureserver.net
smtps.bol.com.br 465 implicit local-part password imap imap.bol.com.br 993 implicit
 bol.com.br
smtps.cty-net.ne.jp 465 implicit address password pop3 pops.cty-net.ne.jp 995 implicit
 cty-net.com cty-net.ne.jp m2.cty-net.ne.jp m3.cty-net.ne.jp m4.cty-net.ne.jp m5.cty-net.ne.jp
 m6.cty-net.ne.jp m7.cty-net.ne.jp m8.cty-net.ne.jp m9.cty-net.ne.jp
smtps.janis.or.jp 465 implicit address password imap imaps.janis.or.jp 993 implicit
 janis.or.jp
smtps.pec.aruba.it 465 implicit address password imap imaps.pec.aruba.it 993 implicit
 arubapec.it gigapec.it ingpec.eu mypec.eu pec.it
smtps.uol.com.br 587 starttls local-part password imap imap.uol.com.br 993 implicit
 uol.com.br
ssl0.ovh.net 465 implicit address password imap ssl0.ovh.net 993 implicit
 ovh.net
sslout.df.eu 465 implicit address password imap sslin.df.eu 993 implicit
 ispgateway.de
univr.smtpauth.cineca.it 465 implicit address password imap univr.mail.cineca.it 993 implicit
 studenti.univr.it
ybbsmtp.mail.yahoo.co.jp 465 implicit local-part password pop3 ybbpop.mail.yahoo.co.jp 995 implicit
 ybb.ne.jp
"""
