"""How a call handles a failing provider: wait and retry, pause the deployment, use another model."""
