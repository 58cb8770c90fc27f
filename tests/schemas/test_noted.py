"""What the trail is told of settings: what evidence depends on, in words, and no secret."""

from schemas.noted import noted_of_receiver, noted_of_worker
from schemas.sealing import KeyRing
from schemas.settings import Settings

SECRETS = ("PLANTED-PATH", "PLANTED-CLIENT", "PLANTED-TOKEN", "PLANTED-PASSWORD")


def test_what_evidence_depends_on_is_noted_and_no_secret() -> None:
    ring = KeyRing.generate("k7")
    settings = Settings.load(
        "",
        {
            "DATABASE_URL": f"postgresql://u:{SECRETS[3]}@h/d",
            "BROKER_URL": f"redis://:{SECRETS[3]}@h",
            "EVENT_EXCHANGE_URL": f"amqp://u:{SECRETS[3]}@h",
            "ENCRYPTION_KEYS": ring,
            "CALLBACK_SECRETS": f"{SECRETS[0]}-of-some-length,{SECRETS[0]}-of-another-length",
            "JUMIO_CLIENT_SECRET": SECRETS[1],
            "JUMIO_LEGACY_SECRET": SECRETS[2],
            "SOURCE_CHECK": "observe",
            "SOURCE_EXTRA": "192.0.2.0/24,198.51.100.7",
            "JUMIO_REGION": "emea-1",
        },
    )

    door, work = noted_of_receiver(settings), noted_of_worker(settings)

    assert (door["source_check"], door["source_extra"]) == ("observe", "192.0.2.0/24,198.51.100.7/32")
    assert (door["callback_secrets default"], door["encryption_keys"], work["encryption_keys"]) == ("2", "k7", "k7")
    assert "https://retrieval.emea-1.jumio.ai" in work["jumio default"]
    told = str([door, work])
    assert not [secret for secret in (*SECRETS, ring.partition(":")[2]) if secret in told]
