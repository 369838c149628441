"""Deciders of the past stay as they were: their files are frozen by hash, and none is missing."""

import hashlib
from pathlib import Path

import pytest

from services.cli.audit.causes import lasting_ticks
from services.cli.verify import parts_of
from services.scheduling.domain import day
from services.scheduling.versions import ADULTS, UNDATED
from shared.contracts.topics import Topic
from shared.serve import all_deciders, earlier_deciders

ROOT = Path(__file__).parents[2]
FROZEN: dict[str, str] = {
    "mastery/versions/v1_codec.py": "a59596645b63a145b24e8352e5ac588e98eba9c18a3cc31529e749b480821bea",
    "mastery/versions/v1_domain.py": "0a3c0cc1705c77a139a32504b0f8011311452b838a8ab4ea5c9610b96560e8ea",
    "mastery/versions/v1_filter.py": "cb53798880f699ef1620a4451ca3615041d500f25c233ea22fa016c5e573f88f",
    "mastery/versions/v1_membership.py": "04115ad9e6b646da604ee95e552194c4b116822c6ecbd289d71acd4967f9f711",
    "mastery/versions/v1_parameters.py": "be50f61dbf54e9da4424f9d11fe761c9de2150d420803ec057023f6186ab4ae0",
    "mastery/versions/v1_rule.py": "177c3a70ae360c6371897cfb1389ec571d7d13c1725f91f6c2429973479f5d79",
    "mastery/versions/v1_state.py": "9eb8946566c581db670d982489f592f6fd1e717e49f55f9d467038b2a5011833",
    "mastery/versions/v1_weigh.py": "e2ae478193677f1bb62891a1ac8d4acd47b340431c6ce2ac37d7bec304fda794",
    "mastery/versions/v2_calibration.py": "8d8f62bf3a85e397f3d24d21372843463d677de49ed19f3b7a36ef5e27545da9",
    "mastery/versions/v2_codec.py": "a9bde6eaa133c6c46f4a5fd9edc7607719d493b133b103fecdc581e1fa3c5c89",
    "mastery/versions/v2_commands.py": "fd136c46b06ae24af2a0a553af9e9f1f7d093ae2a48178a6cce71265a689b7fc",
    "mastery/versions/v2_domain.py": "9a8a2e24e888e84c6a41b632fa670dd1d782241238113f7841e72ccce8c7ab2f",
    "mastery/versions/v2_filter.py": "07db8819ebf227db12dfa0ffb1e6e955fe6ab7429ee482e5c1b904cc8f59a6c2",
    "mastery/versions/v2_framework.py": "934a3a996b617daf8c3ee4b4c3d93eda49cd491de2c51031553ef923b979e8e8",
    "mastery/versions/v2_inputs.py": "1058ef89520c2f609de95bf7fd6e2326f35094dad537e87a33f8129cc77771a3",
    "mastery/versions/v2_judgements.py": "54f6bbdcce78c010a203f4d49cb45d79b93b2cb96b1fcd480a1a32af8a8bdf22",
    "mastery/versions/v2_policy.py": "7f810e62c3247d485cc4a3ea9ddc503dd57edcdfc9f52fc99b72a7548d3bcf0d",
    "mastery/versions/v2_refold.py": "31e151a248851b3bd530a3aac123fb8b7f8b20283bb90189a14c3f7caa43aa6b",
    "mastery/versions/v2_rule.py": "d8f7c14f279b51ab087055316b0686d4d9d57094b6969fc41c42008b854f97fe",
    "mastery/versions/v2_state.py": "4a072d640051ce377179718d65f0796594e0b8dd0d2291f201b85854adfcbb9e",
    "mastery/versions/v2_weigh.py": "412e2b509b87716078b5ac9f61a84ced714e7c1086f890a83c35aa20f36cc8de",
    "mastery/versions/v3_domain.py": "ac294d98c7e86bb3ccc67c49e612b4a9ac99b96f656e342824899bc1e009abea",
    "mastery/versions/v3_refold.py": "a5dcd280918beccf0f20564283612e23009df9b345c19f2148a36f1fbe408abd",
    "mastery/versions/v3_weigh.py": "e791ba973df273f6dfc6aefa1a173f3543a9a2e58c94d9b3fefd0acaac0e5114",
    "mastery/versions/v4_domain.py": "8aae6099793a4aafa0e2cd9eeab80fc5545433608b538167572447c5f5b77759",
    "mastery/versions/v4_framework.py": "58dc89e9e0ce00a0a432670e8d0de4addbf44653b96ab6e934d0e7604182008c",
    "mastery/versions/v4_inputs.py": "fa607d6c029878b1711f19493370bdf3dc811a511546a19a5c3734c45445ae9e",
    "mastery/versions/v4_judgements.py": "05ebf4bc3e2dd4d75ba5f8f38545da89bbdc3d181dc780c5eda8ff2effc7745e",
    "mastery/versions/v4_policy.py": "d2aeabc2bbc8fac9df446f7352f9ecafa7a54128dc165476440c7c824c3266ea",
    "mastery/versions/v4_refold.py": "68a430799ec79dc1a5217168cd93d6eab5f59b8bf32d287c927d3647d355ae01",
    "mastery/versions/v4_weigh.py": "e4c2af97d39e8a6961638535c4066b278409c15ce70f93a9e10957cf0b0d67c6",
    "mastery/versions/v5_domain.py": "7df64679058188c44d80c5abac4b8c6071b36691f3d9a71af5c09a875b257d05",
    "mastery/versions/v5_judgements.py": "626dc594effea8120a5601cddbdd8a206dcb67a4e8158772c3332eeaf57b0f7a",
    "mastery/versions/v5_refold.py": "21ec1cbc617e0eac9897c24c109865a1376a4a99df8cc2c1ae770fd64af1dd44",
    "mastery/versions/v5_weigh.py": "59549a594b9ca2361508ebd0329b62ce3958a104d170e309b614e480c6d5b58d",
    "profile/versions/v1_alias.py": "18d7e55435da638b29a5d92b89d3f8bd5431c17653c1012eccc05fe2271705b4",
    "profile/versions/v1_learner.py": "f96d085f5cd567e5c7347830902468c6dc36f767677d86c59bb8ae55393701e2",
    "pathing/versions/v1_catalogue.py": "e1dcb4e6f217b0e8f4b5002f6e32e3549cde75664999a47f1e9c1869fbe095a3",
    "pathing/versions/v1_commands.py": "3a50044f6ad7f13a3920780fdaac5967539d2717d53c88b14f129342ddaca031",
    "pathing/versions/v1_domain.py": "ef7afd88dce62b6433ac9aae8d119bcdfec2484bdf7feba4adce3fa89db4b418",
    "pathing/versions/v1_goals.py": "6ccd29052fc6478610bb22418a41864fcf7afa1a07bb1e6755a110861ee8d9ea",
    "pathing/versions/v1_needs.py": "fe562cc881c06800389dc48ec253d5081474fd76ffc23bc4bfb70b84329e53a1",
    "pathing/versions/v1_options.py": "1fc65ba2133bcb3f1fa42512c6cf258b84372236abed1bf671afce66104a50e2",
    "pathing/versions/v1_pace.py": "f08aae534c602d39ff65b86377b3917acf19c946e95577e6d480fce3e2849f6e",
    "pathing/versions/v1_planner.py": "76bdbbcf20079b1c3b7c5ee5484c2644994d6f9841f556b230fbe1abd5846144",
    "pathing/versions/v1_state.py": "1c1f71160ba24cb88985b07146e82690e31ba617e6c8afae5f499962f45e762e",
    "pathing/versions/v2_catalogue.py": "ed93be4c1b82091cf6bbc0fbdae4591bd0c05a6395e2095887b5f32bd3af5770",
    "pathing/versions/v2_commands.py": "720df326495b4ebb73c5bffce764cce6b301c03ad3a7565d05b365bebecc9f85",
    "pathing/versions/v2_domain.py": "dff40ec7f868fe585ea5cb0f879a5bfe53b8f9677227abbcdb8644722673ff6b",
    "pathing/versions/v2_goals.py": "36c0a050a99eb13472b5ce015fa1fd0a707131e8a3b2f66f7b354bbce44ffc02",
    "pathing/versions/v2_needs.py": "22e5f0a414c575fba288875d7b3d4abfd77b3f56bc50edea927ccc33d5facbef",
    "pathing/versions/v2_options.py": "50aebf9e1d1edb4bc37ddce0cfc4c59cbcb288fa931b40c85be7c315f8fcd0d2",
    "pathing/versions/v2_pace.py": "0a2324ac50b87c2457bb83cd89a37488275d514084f1a223503adafccd39c7ba",
    "pathing/versions/v2_planner.py": "3aacf345340c840e5c50d3a26b5aab6ad3c6dc13620e56b0e649ffd525e6145b",
    "pathing/versions/v2_state.py": "617bfa84d7639bc32a37db28d6d95f19406fcf722f7867378032302d36df08e7",
    "pathing/versions/v3_catalogue.py": "3f5d044a6abdf5c89aa9ae3233f2779a984d8c9b40975088ab1da9745fd83883",
    "pathing/versions/v3_commands.py": "5ba9e25bb0edc6966d4f94d978f56bc94e522f5aa4e9b35fcd4950780a975317",
    "pathing/versions/v3_domain.py": "d37197b58c988aceb3ffd4e88cd1dc2d4bb38b83b85d0178e881d4c9ae5d5632",
    "pathing/versions/v3_goals.py": "6a31a7a6338ec148c22926cd79d6e70a8a91a962e77efee958e0742c9d59a386",
    "pathing/versions/v3_needs.py": "0b7c3e18080cdade22026d788cfb11a2e33524fd30dfe1d8b9007c5346382a28",
    "pathing/versions/v3_options.py": "22b38b198915cc07d986d34e1a1331ed2d466ce2fbc2dc4562a9a402cd8a8035",
    "pathing/versions/v3_pace.py": "247143b0745dcf8704ec34603e628b80afcb13f168925a5e9e19f8564ce87643",
    "pathing/versions/v3_planner.py": "b47e40e70b3fb46fca533bb087fe5d07cca76334fc6d6596c143077a6274147f",
    "pathing/versions/v3_state.py": "d9c13bd62c1cab6580f31e26610c8833010fcdd1e4e3d17597475c91cce096c8",
    "pathing/versions/v4_commands.py": "4ad70c34ea988d649c6d8a0bca92a5c941f77cb420cbcb8e33c2ede295114c2c",
    "pathing/versions/v4_domain.py": "596271901d9e560d92b67100eb4608d65b19a36e0e85cf8a6301eaffca225572",
    "pathing/versions/v4_goals.py": "a158aea1eac7940fe52de47de3f81ca5a439a99d0ba93316283450483d90d156",
    "pathing/versions/v4_needs.py": "9d9c2bbe4235ff80f252130f9e033e94eb1159b80093b861dd0cee3025f649d7",
    "pathing/versions/v4_pace.py": "5aef0f0ef049d105859c4e39ece3a5e045909c0a1395d4580dd8d6ad034371e6",
    "pathing/versions/v4_planner.py": "f0a1362fdb024450be764557b8db5eee59e50733f4435543d43b99f2cf14fae6",
    "pathing/versions/v4_state.py": "e4770ec22e8dbb265c775a6ced58ea3adbf6f217bfdbe3947c3c80dfc48b0790",
    "scheduling/versions/v1_checker.py": "c6896f82025d1d7489a83735ed6762b26e82e03d810a0ee0822a926145af992c",
    "scheduling/versions/v1_codec.py": "5e30321b4bf4ece8182dbde3138f6b329288a4efa020ebf2edc4470ef89f49d1",
    "scheduling/versions/v1_commands.py": "f90adb10e3c8305a39e10a54b4f66997000de6fa7d437164fb91b6a94c2d9a4f",
    "scheduling/versions/v1_day.py": "9fbcc5efb2cbfb48a6020bb0e66b65425946d157986e6fef761d2f80780706c8",
    "scheduling/versions/v1_filling.py": "11be2fd475f4e2fcb2069f91ba04ea4e2dc4a30a8b08a64d250e63e9ef582e66",
    "scheduling/versions/v1_grouping.py": "9585c993ba08140f9aed605fe4a758f1d93a3bc865d29fd8defa8cce204646df",
    "scheduling/versions/v1_grouping_day.py": "36c63c991d3258f2a6094d65eddc50d7ecdf8397964132900a77adf23eb96631",
    "scheduling/versions/v1_keeping.py": "a68d885278ed5dd5c0ea9498c970f2ca28ed33d8e386bd17cbae45c3a00f5cc8",
    "scheduling/versions/v1_limits.py": "eee21f8032335c874e78e3b209e5e9189c20a0d5f9994548e323ae13d8af433e",
    "scheduling/versions/v1_placing.py": "84ac71235c4b05497b91aa5029f5945bb6f4f408be6754a03c12cf876c1a1ba5",
    "scheduling/versions/v1_resources.py": "feac03b927f34fe42f9278c3c0d7c45ce2f03114fd3b0e46d0ac3e4f51700296",
    "scheduling/versions/v2_codec.py": "6cfcf2bd44d9dd2e80105d042bc23c7ce29162ee25d04940cbb939d3e9e9478f",
    "scheduling/versions/v2_day.py": "cd4fb3965d46f019db0aacfc8b80a122cfe81394d83c991addc8ee88c04fc1c5",
    "scheduling/versions/v2_filling.py": "ccda2f36567e10b80db15265e1afc7bc5a8ce3bac7da8fc9481655e7c64e6af1",
    "scheduling/versions/v2_grouping.py": "74548ce969d4333ced452b5110afba260bc823eb40bca4a44cd13b12b5e9458c",
    "scheduling/versions/v2_grouping_day.py": "0be49da3aee3e38f0ae65e6c27d9bdd8827273cb4fbf40196a1b008d92a1dd36",
    "scheduling/versions/v2_keeping.py": "1acdbc1f7b309f74a5b812bb272ad9ededf66e26e14c4cd38c9971eb47b7f4b5",
    "scheduling/versions/v2_placing.py": "70e9911da0351f050a162998d5712e673e466ee14a9585d8f2efdced4798c46f",
    "scheduling/versions/v2_resources.py": "334bdfa79ecf27337d3d599adbd67902e48192cb99634102991f781b7605464b",
    "scheduling/versions/v3_checker.py": "b817b34cb6d746950ee6a1843a2309e46c3c44b2102d7d57b55794cb958b6c42",
    "scheduling/versions/v3_codec.py": "aa955c7d609abf9b1830e6d55468b9a1d8eeda525a72ea38c54ca6b50367c4b1",
    "scheduling/versions/v3_day.py": "e8eb37a8333b6f5800d05b63bbdfb853e40ebf95a28e475a1696ce71b92f39ba",
    "scheduling/versions/v3_filling.py": "792d146ed0319fde9a075ed3d9f37e53cec13fb62ad27f9532228308b44c72c3",
    "scheduling/versions/v3_grouping.py": "f591e7c4ac6e0633470cd8dd34ca6f58bae027e166a341f3a46ef14d73613f3c",
    "scheduling/versions/v3_grouping_day.py": "062b91489c96edcf86527a6ae123bd1a476d790e3121676d40bfa3e08ba41531",
    "scheduling/versions/v3_keeping.py": "01c96f66b1ffac8c60edff3fcf88947d0c0a7c8e7384c6915bef40b452746b05",
    "scheduling/versions/v3_limits.py": "af7fc793a04ee8beab8c6f787e2e205d17e2c80fa2631220e8a741e6c8d133fc",
    "scheduling/versions/v3_placing.py": "cf4549cd1ba49bab4eaddaa41461f9ef980f6946b632eb09340dc76a3ac48768",
    "scheduling/versions/v3_resources.py": "69ebed7f3c9c8afffe9e623111fb6e5db19e3bac7ff3337db4bed86daf7850ff",
    "shared/versions/v1_settings.py": "32f4ec9f04bc785458b95a86e2803e4986c45021bc2778366ec0545a5af60015",
}
"""Path below services/ or the root -> SHA-256 of the file. A line is added with a new version, and never changed: `sha256sum FILE`."""

TICKS: dict[str, set[str]] = {
    "profile": set(), "evidence": {"release"}, "mastery": {"overrides"}, "pathing": set(), "scheduling": {"take-demands", "search-days"},
}  # fmt: skip
"""Ledgers name them as causes, for ever."""


def test_a_frozen_decider_is_never_edited() -> None:
    paths = [*(ROOT / "services").glob("*/versions/*.py"), *(ROOT / "shared" / "versions").glob("*.py")]
    files = [path for path in paths if path.name != "__init__.py"]
    found = {str(path.relative_to(ROOT)).removeprefix("services/"): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == FROZEN


@pytest.mark.parametrize("service", list(Topic))
def test_every_version_before_the_newest_is_kept_for_replay(service: Topic) -> None:
    parts = parts_of(service)
    before = {f"{decider.name}/{version}" for decider in all_deciders(parts) for version in range(1, decider.version)}
    assert {decider.label for decider in earlier_deciders(parts)} == before
    assert len({decider.name for decider in parts.deciders}) == len(parts.deciders) > 0


@pytest.mark.parametrize("service", list(Topic))
def test_an_earlier_version_reads_parameter_sets_by_what_was_frozen_with_it(service: Topic) -> None:
    parts = parts_of(service)
    for decider in parts.versions:
        assert (decider.kinds is None) == (not parts.kinds), f"{decider.label} reads sets as the service does today"
        assert {kind.parse.__module__.rpartition(".")[0] for kind in decider.kinds or ()} <= {f"services.{service}.versions"}


def test_the_audit_knows_what_every_release_called_what_it_did_in_time() -> None:
    assert {service: set(lasting_ticks(service)) for service in Topic} == TICKS, "one that goes is added to FORMER_TICKS"


def test_the_audit_knows_whom_each_decider_of_days_counted_among_adults() -> None:
    assert ADULTS.keys() == {decider.label for decider in parts_of(Topic.SCHEDULING).versions if decider.kind == day.kind}
    assert day.label not in ADULTS
    assert {decider.label for decider in parts_of(Topic.SCHEDULING).versions if decider.kind == day.kind and decider.version < 3} == UNDATED
