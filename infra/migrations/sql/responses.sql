-- OpenAI's webhooks: endpoints that ask by name for `response.…` get the end of stored responses in OpenAI's shape, in
-- the transaction that ends the job. The labels are those that `/openai/v1/responses` puts on a job.
CREATE FUNCTION webhook_response_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told text := 'response.' || CASE NEW.state
    WHEN 'succeeded' THEN
      CASE WHEN NEW.capability = 'models.chat' AND NEW.result->>'finish' IN ('length', 'content_filter')
        THEN 'incomplete' ELSE 'completed' END
    WHEN 'cancelled' THEN 'cancelled'
    ELSE 'failed' END;
BEGIN
  INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, lane, event, job_id, body, traceparent)
  SELECT uuidv7(), NEW.organization_id, NEW.project_id, id, id, told, NEW.id,
    convert_to(jsonb_build_object(
      'id', typeid('evt', uuidv7()), 'object', 'event', 'type', told,
      'created_at', extract(epoch FROM clock_timestamp())::bigint,
      'data', jsonb_build_object('id', typeid('resp', NEW.id)))::text, 'UTF8'),
    NEW.traceparent
  FROM webhook_endpoints
  WHERE project_id = NEW.project_id AND organization_id = NEW.organization_id AND state <> 'disabled'
    AND told = ANY(events);
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_response_ended AFTER UPDATE OF state ON jobs FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.finished_at IS NOT NULL AND NEW.shadow_arm_id IS NULL
    AND NEW.batch_id IS NULL
    AND NEW.metadata->>'openai.object' = 'response' AND NEW.metadata->>'openai.store' = 'true')
  EXECUTE FUNCTION webhook_response_ended();
