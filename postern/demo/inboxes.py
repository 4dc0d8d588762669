"""What lies in the demo's mailboxes when it starts: two days at Northlink Fibre. Data only."""

from __future__ import annotations

from postern.demo.accounts import ELENA, MARTA
from postern.demo.files import bars, pdf, photo
from postern.demo.letters import Letter
from postern.mime.write import OutgoingFile

ME = f"Marta Lindqvist <{MARTA}>"
ELENA_RUIZ = f"Elena Ruiz <{ELENA}>"
GRETA = "Greta Brandt <greta@brandt-bakery.example>"
NADIA = "Nadia Petrov <nadia.petrov@kestrel-dental.example>"
PETER = "Peter Lang <p.lang@oakfield-school.example>"
RUTH = "Ruth Adeyemi <ruth.adeyemi@weavers-yard.example>"
AMELIE = "Amélie Laurent <amelie@cafe-amelie.example>"
ZOE = "Zoë Nilsson <zoe.nilsson@nilsson-arch.example>"

HOFFMANN_HTML = """\
<p><img src="https://tiling-hoffmann.example/mail/logo.png" alt="Hoffmann Tiling" width="160"></p>
<p>Hello,</p>
<p>we are moving our office and showroom to <b>Mill Lane 14</b> on 1 December and need at least 500/500 with one
static IP address for the alarm system. Is your fibre already in the building, or do we need to order a survey
first?</p>
<p>The floor plan and a photo of the cabinet in the cellar are attached. On site you can reach me most
mornings.</p>
<p>Kind regards<br>Daniel Hoffmann<br><span style="color:#777">Hoffmann Tiling · 0555 010 288</span></p>
<p><img src="https://tiling-hoffmann.example/mail/banner.jpg" alt="" width="420">
<img src="https://statistics.example/open?id=7781" alt="" width="1" height="1"></p>
"""
HOFFMANN_TEXT = """\
Hello,

we are moving our office and showroom to Mill Lane 14 on 1 December and need at least 500/500 with one static IP
address for the alarm system. Is your fibre already in the building, or do we need to order a survey first?

The floor plan and a photo of the cabinet in the cellar are attached. On site you can reach me most mornings.

Kind regards
Daniel Hoffmann
Hoffmann Tiling · 0555 010 288
"""
GRETA_HTML = """\
<p>Good morning Marta,</p>
<p>it started again at 6:10 today, exactly when the ovens heat up. The card terminal dropped twice while people
were queuing. My nephew made this graph:</p>
<p><img src="cid:packet-loss@brandt-bakery.example" alt="Packet loss by hour, highest at six in the morning"></p>
<p>Could it be the power and not the line?</p>
<p>Greta</p>
<blockquote type="cite"><p>On Friday Marta Lindqvist wrote:</p>
<p>thanks for reporting this. I have asked our field team to check the splitter in your street.</p></blockquote>
"""
PHISHING_HTML = """\
<p style="font-family:Arial">Dear customer,</p>
<p style="font-family:Arial">your mailbox will be <b style="color:#c00">suspended</b> unless you confirm your
payment details today. Outstanding balance: 79.00.</p>
<p><a href="https://payments.northl1nk-billing.example/login"
style="background:#c00;color:#fff;padding:8px">https://www.northlink.example/billing</a></p>
<form action="https://payments.northl1nk-billing.example/login"><input name="password" type="password"></form>
<p>Northlink Billing Department</p>
"""
NEWSLETTER_HTML = """\
<table width="600"><tr><td bgcolor="#222"><font color="#fff" size="5">Deals of the week</font></td></tr>
<tr><td><img src="https://cdn.deals.example/hero.jpg" width="600" alt=""><p>Save up to <b>40%</b> on patch panels,
fibre cleavers and label printers until Sunday.</p>
<p><a href="https://deals.example/unsubscribe">Unsubscribe</a></p></td></tr></table>
"""
SITES = b"site;reason;teacher\r\nscratch.example;programming;Lang\r\nopen-maps.example;geography;Ferreira\r\n"

GRETA_FIRST = Letter(
    "greta-loss-1", GRETA, "Packet loss in the mornings",
    "Good morning,\n\nsince Monday our card terminal loses the line every morning shortly after six. The lamp on "
    "your box stays green. What can we do?\n\nGreta Brandt\nBrandt Bakery\n",
    hours=46, seen=True,
)  # fmt: skip
GRETA_ANSWERED = Letter(
    "greta-loss-2", ME, "Re: Packet loss in the mornings",
    "Good morning Greta,\n\nthanks for reporting this. I have asked our field team to check the splitter in your "
    "street. Could you note the times when it happens?\n\nMarta\nNorthlink Fibre\n",
    hours=44.5, to=(GRETA,), cc=("office@brandt-bakery.example",), thread=("greta-loss-1",), folder="Sent", seen=True,
)  # fmt: skip
GRETA_AGAIN = Letter(
    "greta-loss-3", GRETA, "Re: Packet loss in the mornings",
    "Good morning Marta,\n\nit started again at 6:10 today, exactly when the ovens heat up. The card terminal "
    "dropped twice while people were queuing. My nephew made a graph of it.\n\nCould it be the power and not the "
    "line?\n\nGreta\n\n> thanks for reporting this. I have asked our field team to check the splitter in your street.\n",
    hours=0.45, cc=("office@brandt-bakery.example",), thread=("greta-loss-1", "greta-loss-2"), html=GRETA_HTML,
    files=(
        OutgoingFile("packet-loss.png", "image/png", bars([2, 1, 3, 8, 22, 64, 92, 78, 30, 9, 4, 2]),
                     "packet-loss@brandt-bakery.example"),
    ),
)  # fmt: skip
CABINET = Letter(
    "kestrel-key", NADIA, "Key to the cabinet in Kestrel Street",
    "Dear Marta, dear Elena,\n\nthe key to the cabinet is now at our reception, Monday to Friday from 8 to 17. Please "
    "send whoever comes first to me.\n\nNadia Petrov\nKestrel Dental Clinic\n",
    hours=21, to=(ME,), cc=(ELENA_RUIZ,), seen=True,
)  # fmt: skip
"""Both administrators got this one: two copies, each in its own mailbox."""

MARTAS = (
    Letter(
        "hoffmann-office", "Daniel Hoffmann <d.hoffmann@tiling-hoffmann.example>",
        "New office at Mill Lane 14: can you connect us?", HOFFMANN_TEXT, hours=0.2, html=HOFFMANN_HTML,
        files=(
            OutgoingFile("Floor-plan-Mill-Lane.pdf", "application/pdf",
                         pdf("Mill Lane 14, ground floor", ["Showroom 120 m2", "Office 40 m2", "Cellar: cabinet"])),
            OutgoingFile("cabinet-cellar.jpg", "image/jpeg", photo()),
        ),
    ),
    GRETA_AGAIN, GRETA_ANSWERED, GRETA_FIRST, CABINET,
    Letter(
        "harbour-po", "accounts@harbourview.example", "Purchase order missing on invoice 2026-1187",
        "Dear Sir or Madam,\n\nPlease resend invoice 2026-1187 with PO 44-2910 so that we can release the payment.\n\n"
        "Accounts payable\nHarbour View Hotel\n",
        hours=1.1,
        files=(OutgoingFile("2026-1187.pdf", "application/pdf",
                            pdf("Invoice 2026-1187", ["Business Fibre 300/100, November", "EUR 149.00"])),),
    ),
    Letter(
        "nadia-ip-1", ME, "Static IP for the X-ray workstation",
        "Dear Nadia,\n\nyour static address is 198.51.100.42. It is active from tonight; the workstation needs one "
        "restart.\n\nMarta\n",
        hours=6, to=(NADIA,), folder="Sent", seen=True,
    ),
    Letter(
        "nadia-ip-2", NADIA, "Re: Static IP for the X-ray workstation",
        "Perfect, that works. Could you also open port 104 for the picture archive?\n\nNadia\n\n"
        "> your static address is 198.51.100.42. It is active from tonight\n",
        hours=1.8, thread=("nadia-ip-1",), seen=True,
    ),
    Letter(
        "northl1nk", "Northlink Billing <billing@northl1nk.example>", "Outstanding balance, act today",
        "Your mailbox will be suspended unless you confirm your payment details today.\n",
        hours=2.3, html=PHISHING_HTML, proven="fail",
    ),
    Letter(
        "peter-filter-1", PETER, "Content filter exceptions for the lab",
        "Dear Marta,\n\nattached is the list of sites the computing teachers need in the lab. Can they be open by "
        "Thursday?\n\nPeter Lang\nOakfield Primary School\n",
        hours=19, files=(OutgoingFile("exceptions.csv", "text/csv", SITES),), seen=True,
    ),
    Letter(
        "peter-filter-2", ME, "Re: Content filter exceptions for the lab",
        "Peter, done this morning. Try it before the first lesson.\n\nSent from my phone\n",
        hours=3, to=(PETER,), thread=("peter-filter-1",), folder="Sent", seen=True,
    ),
    Letter(
        "lena-birch", "Lena Voss <lena.voss@post.example>", "Is fibre available in Birch Street?",
        "Hello,\n\nwe are a household of four and both of us work from home. Is fibre available in Birch Street 9, and "
        "how long does it take?\n\nThank you\nLena Voss\n0555 010 290\n",
        hours=22,
    ),
    Letter(
        "ruth-quote-1", ME, "Quote for 24 flats, Weaver’s Yard",
        "Dear Ruth,\n\nplease find our offer for the 24 flats attached. It is valid until 31 December.\n\nMarta\n",
        hours=45, to=(RUTH,), folder="Sent", seen=True,
        files=(OutgoingFile("Offer-2026-091.pdf", "application/pdf",
                            pdf("Offer 2026-091", ["24 flats, 300/100 each", "EUR 19.50 a month and flat"])),),
    ),
    Letter(
        "ruth-quote-2", RUTH, "Re: Quote for 24 flats, Weaver’s Yard",
        "The residents’ meeting agreed. Two questions about the contract: does each flat choose its own speed, and who "
        "pays for the riser?\n\nRuth Adeyemi\n",
        hours=25, thread=("ruth-quote-1",), seen=True,
    ),
    Letter(
        "deals-week", "Deals of the Week <newsletter@deals.example>", "Up to 40% off patch panels",
        "Deals of the week: patch panels, fibre cleavers, label printers.\n",
        hours=27, html=NEWSLETTER_HTML, bulk=True, proven="none", seen=True,
    ),
    Letter(
        "fax-offer", "Best Fax Lines <sales@fax-lines.example>", "Fax line offer",
        "Dear business owner,\n\ntwo fax lines for the price of one, this week only.\n", hours=29, proven="none",
    ),
    Letter(
        "zoe-thanks", ZOE, "Tack! And a question",
        "Hej Marta,\n\nthe new line in the studio works beautifully. Can we move the invoice date to the 15th?\n\n"
        "Zoë Nilsson\nNilsson Arkitekter\n",
        hours=31, seen=True,
    ),
    Letter(
        "pharmacy-away", "Riverside Pharmacy <desk@riverside-pharmacy.example>",
        "Automatic reply: Planned maintenance on Thursday",
        "We are stocktaking and answer from Wednesday on. In urgent cases call 0555 010 214.\n",
        hours=33, automatic=True, seen=True,
    ),
)  # fmt: skip

ELENAS = (
    CABINET,
    Letter(
        "greta-invoice", GRETA, "Invoice address for 2027",
        "Dear Elena,\n\nfrom January please send our invoices to Brandt & Daughter, same street.\n\nGreta Brandt\n",
        hours=2.7, to=(ELENA_RUIZ,),
    ),
    Letter(
        "amelie-terrace", AMELIE, "Wi-Fi on the terrace",
        "Bonjour Elena,\n\nour guests on the terrace have almost no signal. Would a second access point help?\n\n"
        "Amélie\n",
        hours=4, to=(ELENA_RUIZ,),
    ),
    Letter(
        "garage-move-1", ELENA_RUIZ, "Your move to Castle Street 3",
        "Dear Mr Webb,\n\nthe new line will be ready on the 27th.\n\nElena Ruiz\n",
        hours=30, to=("Sam Webb <service@castle-garage.example>",), folder="Sent", seen=True,
    ),
    Letter(
        "garage-move-2", "Sam Webb <service@castle-garage.example>", "Re: Your move to Castle Street 3",
        "Great. Please bring the long ladder, the new place has no lift.\n\nSam\n",
        hours=23, to=(ELENA_RUIZ,), thread=("garage-move-1",), seen=True,
    ),
    Letter(
        "marius-number", "Marius Blank <m.blank@post.example>", "Can I keep my number?",
        "Hello,\n\nI want to change to you next month. Can I keep 0555 010 466?\n\nMarius Blank\n",
        hours=26, to=(ELENA_RUIZ,),
    ),
)  # fmt: skip

BOXES = {MARTA: MARTAS, ELENA: ELENAS}
"""Account -> what lies in it at the start."""
