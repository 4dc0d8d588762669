"""Which messages a customer concerns, found by indexes: filing costs by the letters concerned, not by the mailbox.

Functions, since under a row policy no index of recipients is used: its operator is not leakproof, so PostgreSQL looks
at every message that the policy lets through instead. Each index has the mailbox in its key: how long an owner waits
tells nothing of what others wrote to whom (S-135). Applied with the rest of the wall (postern.mail.wall).
"""

FEW = 200
"""Addresses for each of which it pays to step into an index; an import of more reads each mailbox once."""

FUNCTIONS = """
-- Outgoing messages of a mailbox by a recipient's address; the expression is the index message_recipients'.
CREATE OR REPLACE FUNCTION app.sent_to(mailbox bigint, emails text[]) RETURNS SETOF bigint
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT m.id FROM unnest(emails) e CROSS JOIN LATERAL (
    SELECT id FROM mail_message WHERE outgoing AND
      jsonb_set('{}', ARRAY[mailbox_id::text], jsonb_path_query_array("to" || cc, '$[*][1]'))
        @> jsonb_build_object(mailbox, jsonb_build_array(e)) OFFSET 0) m;
END $$;

-- The addresses of customers.
CREATE OR REPLACE FUNCTION app.addresses_of(customers bigint[]) RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT email::text), '{}') FROM people_address WHERE customer_id = ANY (customers) $$;

-- Messages of a mailbox that are filed under one of the customers or carry one of their addresses. For its owner, and
-- for a worker that is at it.
CREATE OR REPLACE FUNCTION app.concerning(customers bigint[], mailbox bigint) RETURNS SETOF bigint
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE emails text[] := app.addresses_of(customers);
BEGIN
  IF mailbox IS DISTINCT FROM app.box() AND mailbox <> ALL (app.owned()) THEN RETURN; END IF;
  RETURN QUERY SELECT message_id FROM mail_party WHERE customer_id = ANY (customers) AND mailbox_id = mailbox;
  IF cardinality(emails) <= {few} THEN
    RETURN QUERY SELECT m.id FROM unnest(emails) e CROSS JOIN LATERAL (  -- so by the whole key (postern.mail.bulk)
        SELECT id FROM mail_message WHERE mailbox_id = (SELECT mailbox) AND from_address = e AND NOT outgoing OFFSET 0) m
      UNION ALL SELECT * FROM app.sent_to(mailbox, emails);
  ELSE
    RETURN QUERY SELECT id FROM mail_message
        WHERE mailbox_id = mailbox AND NOT outgoing AND from_address IN (SELECT unnest(emails))
      UNION ALL SELECT m.id FROM mail_message m CROSS JOIN LATERAL jsonb_array_elements(m."to" || m.cc) r
        WHERE m.mailbox_id = mailbox AND m.outgoing AND r->>1 IN (SELECT unnest(emails));
  END IF;
END $$;

-- The mailboxes that have such messages, and perhaps others when it is about many customers.
CREATE OR REPLACE FUNCTION app.mailboxes_concerning(customers bigint[]) RETURNS SETOF bigint
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE emails text[] := app.addresses_of(customers);
BEGIN
  RETURN QUERY SELECT id FROM mailboxes_mailbox b WHERE cardinality(emails) > {few}
    OR EXISTS (SELECT FROM mail_party p WHERE p.customer_id = ANY (customers) AND p.mailbox_id = b.id)
    OR EXISTS (SELECT FROM unnest(emails) e CROSS JOIN LATERAL (
      SELECT FROM mail_message WHERE mailbox_id = b.id AND from_address = e AND NOT outgoing LIMIT 1) m)
    OR EXISTS (SELECT FROM app.sent_to(b.id, emails));
END $$;
""".replace("{few}", str(FEW))

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.sent_to(bigint, text[])": (),
    "app.addresses_of(bigint[])": (),
    "app.concerning(bigint[], bigint)": ("web", "send"),
    "app.mailboxes_concerning(bigint[])": ("send",),
}
