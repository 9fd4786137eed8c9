import httpx


def test_a_job_is_accepted_and_can_be_read(client: httpx.Client) -> None:
    accepted = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}, "metadata": {"a": "b"}})
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert accepted.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(accepted.headers["retry-after"]) >= 1
    read = client.get(accepted.headers["location"])
    assert read.status_code == 200
    assert read.json() == job
    assert job["state"] == "queued"
    assert job["metadata"] == {"a": "b"}
