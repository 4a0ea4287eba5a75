"""Functions that run inside PostgreSQL; `swift` calls them and says why.

As the steps of the schema that they belong to, they are never edited: a later step drops and makes them anew.
"""

FUNCTIONS = """
CREATE FUNCTION intarsia_acquire(
    p_project text, p_project_lock bigint, p_session text, p_locks bigint[], p_alone boolean[],
    p_near text[], p_near_shared text[], p_keys text[], p_names text[], p_shared boolean[],
    p_low text[], p_high text[], p_ttl integer, p_note text
) RETURNS TABLE (token bigint, expires double precision) LANGUAGE plpgsql AS $$
DECLARE
    n integer;
    t double precision;
    given bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(p_project_lock);
    FOR n IN 1 .. cardinality(p_locks) LOOP
        IF p_alone[n] THEN PERFORM pg_advisory_xact_lock(p_locks[n]);
        ELSE PERFORM pg_advisory_xact_lock_shared(p_locks[n]);
        END IF;
    END LOOP;
    t := extract(epoch FROM clock_timestamp());
    IF EXISTS (SELECT 1 FROM line w WHERE w.project = p_project AND w.expires > t)
        OR EXISTS (SELECT 1 FROM sessions s WHERE s.project = p_project AND s.id = p_session AND s.ended IS NOT NULL)
        OR EXISTS (
            SELECT 1 FROM leases l WHERE l.project = p_project AND l.key = ANY (p_near)
               AND l.session <> p_session AND l.expires > t)
        OR EXISTS (
            SELECT 1 FROM leases l WHERE l.project = p_project AND l.key = ANY (p_near_shared)
               AND l.session <> p_session AND l.expires > t AND l.mode = 'exclusive')
    THEN
        RETURN;
    END IF;
    FOR n IN 1 .. cardinality(p_low) LOOP
        IF EXISTS (
            SELECT 1 FROM leases l WHERE l.project = p_project AND l.key >= p_low[n] AND l.key < p_high[n]
               AND l.session <> p_session AND l.expires > t AND (NOT p_shared[n] OR l.mode = 'exclusive'))
        THEN
            RETURN;
        END IF;
    END LOOP;
    given := nextval('tokens');
    DELETE FROM leases l
     WHERE l.project = p_project AND l.key = ANY (p_keys) AND l.session <> p_session AND l.expires <= t;
    INSERT INTO leases AS l (project, key, resource, session, mode, token, note, acquired, expires)
    SELECT p_project, k.key, k.name, p_session, CASE WHEN k.shared THEN 'shared' ELSE 'exclusive' END,
           given, p_note, t, t + p_ttl
      FROM unnest(p_keys, p_names, p_shared) AS k (key, name, shared)
    ON CONFLICT ON CONSTRAINT leases_pkey DO UPDATE SET
        mode = CASE WHEN l.mode = 'exclusive' AND l.expires > excluded.acquired THEN l.mode ELSE excluded.mode END,
        acquired = CASE WHEN l.expires > excluded.acquired THEN l.acquired ELSE excluded.acquired END,
        token = excluded.token, note = excluded.note, expires = excluded.expires;
    RETURN QUERY SELECT given, t + p_ttl;
END $$;
CREATE FUNCTION intarsia_release(
    p_project text, p_project_lock bigint, p_session text, p_keys text[], p_channel text
) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    -- Losing a release in a crash of the server costs the rest of its time, never a double grant.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock_shared(p_project_lock);
    RETURN QUERY DELETE FROM leases l
        WHERE l.project = p_project AND l.key = ANY (p_keys) AND l.session = p_session
          AND l.expires > extract(epoch FROM clock_timestamp())
        RETURNING l.key;
    PERFORM pg_notify(p_channel, p_project) FROM line w WHERE w.project = p_project LIMIT 1;
END $$
"""

# The caller says which modes stand in the way of what it asks for, as it is the one who knows the table of modes.
ACQUIRE_IN_MODES = """
CREATE FUNCTION intarsia_acquire(
    p_project text, p_project_lock bigint, p_session text, p_locks bigint[], p_alone boolean[],
    p_near text[], p_near_modes text[], p_low text[], p_high text[], p_inside_modes text[],
    p_keys text[], p_names text[], p_modes text[], p_strength text[], p_ttl integer, p_note text
) RETURNS TABLE (token bigint, expires double precision) LANGUAGE plpgsql AS $$
DECLARE
    n integer;
    t double precision;
    given bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(p_project_lock);
    FOR n IN 1 .. cardinality(p_locks) LOOP
        IF p_alone[n] THEN PERFORM pg_advisory_xact_lock(p_locks[n]);
        ELSE PERFORM pg_advisory_xact_lock_shared(p_locks[n]);
        END IF;
    END LOOP;
    t := extract(epoch FROM clock_timestamp());
    IF EXISTS (SELECT 1 FROM line w WHERE w.project = p_project AND w.expires > t)
        OR EXISTS (SELECT 1 FROM sessions s WHERE s.project = p_project AND s.id = p_session AND s.ended IS NOT NULL)
        OR EXISTS (
            SELECT 1 FROM leases l WHERE l.project = p_project AND l.key = ANY (p_near)
               AND l.session <> p_session AND l.expires > t
               AND l.mode = ANY (string_to_array(p_near_modes[array_position(p_near, l.key)], ' ')))
    THEN
        RETURN;
    END IF;
    FOR n IN 1 .. cardinality(p_low) LOOP
        IF EXISTS (
            SELECT 1 FROM leases l WHERE l.project = p_project AND l.key >= p_low[n] AND l.key < p_high[n]
               AND l.session <> p_session AND l.expires > t
               AND l.mode = ANY (string_to_array(p_inside_modes[n], ' ')))
        THEN
            RETURN;
        END IF;
    END LOOP;
    given := nextval('tokens');
    DELETE FROM leases l
     WHERE l.project = p_project AND l.key = ANY (p_keys) AND l.session <> p_session AND l.expires <= t;
    INSERT INTO leases AS l (project, key, resource, session, mode, token, note, acquired, expires)
    SELECT p_project, k.key, k.name, p_session, k.mode, given, p_note, t, t + p_ttl
      FROM unnest(p_keys, p_names, p_modes) AS k (key, name, mode)
    ON CONFLICT ON CONSTRAINT leases_pkey DO UPDATE SET
        mode = CASE WHEN l.expires > excluded.acquired
                     AND array_position(p_strength, l.mode) > array_position(p_strength, excluded.mode)
                    THEN l.mode ELSE excluded.mode END,
        acquired = CASE WHEN l.expires > excluded.acquired THEN l.acquired ELSE excluded.acquired END,
        token = excluded.token, note = excluded.note, expires = excluded.expires;
    RETURN QUERY SELECT given, t + p_ttl;
END $$
"""
DROP_FIRST_ACQUIRE = """
DROP FUNCTION intarsia_acquire(text, bigint, text, bigint[], boolean[], text[], text[], text[], text[], boolean[],
    text[], text[], integer, text);
"""
