-- Candado's key store: tables and accounts.
--
-- Run it as an administrator of the server, once for each deployment. Running it again changes nothing.
-- Valid on MySQL 8.0.16 to 9.7 and MariaDB 10.11.
--
--   Part 1  the tables.
--   Part 2  accounts with the least that they need, locked until you give them passwords.
--
-- No application account may hold any privilege on the schema `candado`.
-- Times are UTC. Nothing in these tables is secret by itself: keys are stored wrapped, and only the key provider opens
-- them. Who can write here can deny service, but cannot introduce a key of his own.


-- ---------------------------------------------------------------------------------------------------------------------
-- Part 1: tables
-- ---------------------------------------------------------------------------------------------------------------------

CREATE DATABASE IF NOT EXISTS candado CHARACTER SET ascii COLLATE ascii_bin;

-- One row. `epoch` grows with every change of a key; each proxy polls it. `deployment` names this key store in the
-- encryption context of every wrapped key: a blob from another deployment does not open here.
CREATE TABLE IF NOT EXISTS candado.epoch (
    id          TINYINT         NOT NULL PRIMARY KEY,
    epoch       BIGINT UNSIGNED NOT NULL,
    deployment  CHAR(36)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    CONSTRAINT candado_epoch_one_row CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Named groups of keys; the policy gives each protected column its keyset.
CREATE TABLE IF NOT EXISTS candado.keyset (
    keyset_id       INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name            VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    min_decrypt_kid INT UNSIGNED NOT NULL DEFAULT 0,
    created_at      DATETIME(6)  NOT NULL,
    UNIQUE KEY keyset_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One row for each key that ever existed. A row is never deleted, so that a `kid` is never given twice.
-- `kcv` (key check value) is NULL until the key is opened for the first time, by a proxy or, for the audit key, by
-- `candado keys init`; from then on everybody compares, and the column never changes again. `activated_at`:
-- since when it wrote, NULL if it never did; `deactivated_at`: since when it does not any more; `changed_at`: since when
-- it is in its state.
CREATE TABLE IF NOT EXISTS candado.data_key (
    kid             INT UNSIGNED      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    keyset_id       INT UNSIGNED      NOT NULL,
    purpose         ENUM('data', 'index', 'audit', 'subject') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version         SMALLINT UNSIGNED NOT NULL,
    state           ENUM('pending', 'active', 'decrypt_only', 'suspended', 'retired', 'destroyed')
                    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kcv             BINARY(16)        NULL,
    created_at      DATETIME(6)       NOT NULL,
    activated_at    DATETIME(6)       NULL,
    deactivated_at  DATETIME(6)       NULL,
    destroyed_at    DATETIME(6)       NULL,
    changed_at      DATETIME(6)       NULL,
    row_version     INT UNSIGNED      NOT NULL DEFAULT 1,
    UNIQUE KEY data_key_version (keyset_id, purpose, version),
    CONSTRAINT candado_data_key_keyset FOREIGN KEY (keyset_id) REFERENCES candado.keyset (keyset_id),
    CONSTRAINT candado_data_key_version CHECK (version > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One key may be wrapped several times (regions, a change of provider); the lowest `priority` is tried first.
CREATE TABLE IF NOT EXISTS candado.wrapped_key (
    kid          INT UNSIGNED     NOT NULL,
    provider     ENUM('aws-kms', 'local', 'vault') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kek_ref      VARCHAR(512)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    wrapped      VARBINARY(6144)  NOT NULL,
    wrap_version INT UNSIGNED     NOT NULL DEFAULT 1,
    wrapped_at   DATETIME(6)      NOT NULL,
    priority     TINYINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (kid, provider, kek_ref),
    CONSTRAINT candado_wrapped_key_kid FOREIGN KEY (kid) REFERENCES candado.data_key (kid)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Keys of single data subjects, where policy gives a column a `subject`: 32 bytes wrapped under the subject key `sk_kid`
-- (in data_key) of the keyset. `kid` stands in envelopes as the id of a data key does; its highest bit is set, and no
-- data key's is. `subject` is a SHA-256 over keyset and value. A row is never deleted: with its key destroyed, `wrapped` is
-- NULL and the row keeps anybody from making the person another key. (A CHECK cannot name an AUTO_INCREMENT column.)
CREATE TABLE IF NOT EXISTS candado.subject_key (
    kid          INT UNSIGNED   NOT NULL AUTO_INCREMENT PRIMARY KEY,
    keyset_id    INT UNSIGNED   NOT NULL,
    subject      BINARY(32)     NOT NULL,
    sk_kid       INT UNSIGNED   NOT NULL,
    wrapped      VARBINARY(128) NULL,
    created_at   DATETIME(6)    NOT NULL,
    destroyed_at DATETIME(6)    NULL,
    UNIQUE KEY subject_key_subject (keyset_id, subject),
    KEY subject_key_wrapped_by (sk_kid),
    CONSTRAINT candado_subject_key_keyset FOREIGN KEY (keyset_id) REFERENCES candado.keyset (keyset_id),
    CONSTRAINT candado_subject_key_end CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin AUTO_INCREMENT = 2147483648;

-- Protected columns that hold, or once held, rows from before they were protected: how far they are. A column without
-- a row here is sealed. `context` is the one in policy. `plain`: nothing is encrypted yet. `encrypting`: every write is
-- sealed, older rows may be plaintext. `sealed`: envelopes alone. `decrypting`: every write is plaintext, older rows may
-- be envelopes.
CREATE TABLE IF NOT EXISTS candado.column_stage (
    context     VARBINARY(578)    NOT NULL PRIMARY KEY,
    stage       ENUM('plain', 'encrypting', 'sealed', 'decrypting') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_at  DATETIME(6)       NOT NULL,
    row_version INT UNSIGNED      NOT NULL DEFAULT 1
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One row for each proxy: which epoch and which policy it works with, and when it was last there.
CREATE TABLE IF NOT EXISTS candado.replica (
    instance_id   BINARY(16)      NOT NULL PRIMARY KEY,
    name          VARCHAR(255)    CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
    boot_id       BINARY(16)      NOT NULL,
    loaded_epoch  BIGINT UNSIGNED NOT NULL,
    loaded_digest BINARY(32)      NOT NULL,
    policy_digest BINARY(32)      NOT NULL,
    last_seen     DATETIME(6)     NOT NULL,
    version       VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- The record of acts: who did what, when, how it was before and after. Rows are added, and by nobody of ours changed or
-- deleted. `mac` authenticates a row together with `prev`, the code of the row before, under a key that the database does
-- not have; `kid` 0 says that the emergency brake was recorded without a key. The bytes are described in
-- src/control/record/record.md. `value_before` and `value_after` are JSON, kept as text because the codes are over the very
-- bytes.
CREATE TABLE IF NOT EXISTS candado.event (
    seq          BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    kid          INT UNSIGNED    NOT NULL,
    at           DATETIME(6)     NOT NULL,
    actor        VARCHAR(512)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    act          VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject      VARCHAR(1024)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    value_before MEDIUMTEXT      CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    value_after  MEDIUMTEXT      CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    prev         BINARY(32)      NOT NULL,
    mac          BINARY(32)      NOT NULL,
    KEY event_at (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One row: where the record ends. Every append locks it, so that acts are recorded one after the other.
CREATE TABLE IF NOT EXISTS candado.event_head (
    id           TINYINT         NOT NULL PRIMARY KEY,
    seq          BIGINT UNSIGNED NOT NULL,
    kid          INT UNSIGNED    NOT NULL,
    mac          BINARY(32)      NOT NULL,
    seal         BINARY(32)      NOT NULL,
    CONSTRAINT candado_event_head_one_row CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Acts that wait for the approval of other people, and the signatures that they gave. What counts is decided by whoever
-- carries the act out, from the public keys in his configuration: nothing in these tables is believed.
CREATE TABLE IF NOT EXISTS candado.approval_request (
    request_id   BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    act          VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject      VARCHAR(1024)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    epoch        BIGINT UNSIGNED NOT NULL,
    row_version  INT UNSIGNED    NOT NULL,
    requested_by VARCHAR(512)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    requested_at DATETIME(6)     NOT NULL,
    expires_at   DATETIME(6)     NOT NULL,
    nonce        BINARY(16)      NOT NULL,
    used_at      DATETIME(6)     NULL,
    KEY approval_request_subject (act, subject(191))
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS candado.approval_signature (
    request_id BIGINT UNSIGNED NOT NULL,
    signer     VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    signature  BINARY(64)      NOT NULL,
    signed_at  DATETIME(6)     NOT NULL,
    PRIMARY KEY (request_id, signature),
    CONSTRAINT candado_approval_signature_request FOREIGN KEY (request_id)
        REFERENCES candado.approval_request (request_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Jobs that convert rows which are already there (`candado column encrypt`, `decrypt`, `reencrypt`, `reindex`): one
-- unfinished job for each table. `owner` leads the phases that one process alone may do; `frontier` is the primary key
-- up to which chunks have been cut off. `open` is 1 until the job is done or aborted, then NULL. `resting` says why a walk
-- rests, and holds until `resting_until`, which the process that rests renews.
CREATE TABLE IF NOT EXISTS candado.job (
    job_id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    table_schema  VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name    VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    verb          ENUM('encrypt', 'decrypt', 'reencrypt', 'reindex') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    columns       JSON            NOT NULL,
    phase         ENUM('prepare', 'fence', 'walk', 'verify', 'finish', 'done', 'aborted')
                  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    open          TINYINT         NULL,
    paused        TINYINT         NOT NULL DEFAULT 0,
    resting       VARCHAR(255)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    resting_until DATETIME(6)     NULL,
    pass          INT UNSIGNED    NOT NULL DEFAULT 0,
    frontier      VARBINARY(4096) NULL,
    planned       TINYINT         NOT NULL DEFAULT 0,
    rows_estimate BIGINT UNSIGNED NOT NULL DEFAULT 0,
    owner         BINARY(16)      NULL,
    lease_until   DATETIME(6)     NULL,
    started_at    DATETIME(6)     NOT NULL,
    changed_at    DATETIME(6)     NOT NULL,
    UNIQUE KEY job_open (table_schema, table_name, open)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Chunks of a job: rows after `lower_key`, up to and with `upper_key` (NULL: the table's ends), by primary key.
-- `reached` is the last row that is done. One process at a time works on a chunk: its `owner`, until `lease_until` by
-- this server's clock.
CREATE TABLE IF NOT EXISTS candado.job_chunk (
    job_id       BIGINT UNSIGNED NOT NULL,
    pass         INT UNSIGNED    NOT NULL,
    chunk        BIGINT UNSIGNED NOT NULL,
    lower_key    VARBINARY(4096) NULL,
    upper_key    VARBINARY(4096) NULL,
    reached      VARBINARY(4096) NULL,
    owner        BINARY(16)      NOT NULL,
    lease_until  DATETIME(6)     NOT NULL,
    rows_seen    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    rows_changed BIGINT UNSIGNED NOT NULL DEFAULT 0,
    conflicts    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    started_at   DATETIME(6)     NOT NULL,
    done_at      DATETIME(6)     NULL,
    PRIMARY KEY (job_id, pass, chunk),
    KEY job_chunk_open (job_id, pass, done_at),
    CONSTRAINT candado_job_chunk_job FOREIGN KEY (job_id) REFERENCES candado.job (job_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- What full scans of a column found: every cell opened, counts by data key and by version of the index key, and a
-- SHA-256 over primary key and envelope header of every envelope. `epoch` is the key store's when the scan began. A row
-- without `finished_at` proves nothing. Keys are retired and destroyed only on the ground of these rows.
CREATE TABLE IF NOT EXISTS candado.proof (
    proof_id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    context          VARBINARY(578)  NOT NULL,
    kind             ENUM('sealed', 'plain', 'count') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch            BIGINT UNSIGNED NOT NULL,
    started_at       DATETIME(6)     NOT NULL,
    finished_at      DATETIME(6)     NULL,
    rows_scanned     BIGINT UNSIGNED NULL,
    nulls            BIGINT UNSIGNED NULL,
    plaintexts       BIGINT UNSIGNED NULL,
    by_kid           JSON            NULL,
    by_index_version JSON            NULL,
    digest           BINARY(32)      NULL,
    KEY proof_context (context, started_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Profiles of the statement firewall, one for each account (`user@host`) and database; the database is empty where none is
-- chosen. A profile takes digests until it is frozen. `version` grows with every change; each proxy polls it.
CREATE TABLE IF NOT EXISTS candado.firewall_profile (
    profile_id    INT UNSIGNED    NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account       VARCHAR(336)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    database_name VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    frozen_at     DATETIME(6)     NULL,
    created_at    DATETIME(6)     NOT NULL,
    version       BIGINT UNSIGNED NOT NULL DEFAULT 1,
    UNIQUE KEY firewall_profile_place (account, database_name)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- The digests of a profile. `normal_text` is for people: `?` for every value, `<id>` for every name that the schema does
-- not know. `shape` says what a statement is made of, or `-`; unknown statements are compared with it.
CREATE TABLE IF NOT EXISTS candado.firewall_digest (
    profile_id  INT UNSIGNED    NOT NULL,
    digest      BINARY(32)      NOT NULL,
    normal_text VARCHAR(1100)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    shape       VARCHAR(8192)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    first_seen  DATETIME(6)     NOT NULL,
    seen        BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (profile_id, digest),
    KEY firewall_digest_first_seen (profile_id, first_seen),
    CONSTRAINT candado_firewall_digest_profile FOREIGN KEY (profile_id) REFERENCES candado.firewall_profile (profile_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Digests that somebody allowed an account although the firewall refuses them, until `expires_at` (NULL: for good).
CREATE TABLE IF NOT EXISTS candado.firewall_exception (
    account    VARCHAR(336) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    digest     BINARY(32)   NOT NULL,
    reason     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    author     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    allowed_at DATETIME(6)  NOT NULL,
    expires_at DATETIME(6)  NULL,
    PRIMARY KEY (account, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Anchors of the record of accesses (`[audit]`): where each proxy's chain ended, once a minute. Rows are added and never
-- changed. Those that are older than the files you keep may be deleted.
CREATE TABLE IF NOT EXISTS candado.audit_anchor (
    anchor_id   BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name        VARCHAR(100)    NOT NULL,
    chain       BINARY(8)       NOT NULL,
    seq         BIGINT UNSIGNED NOT NULL,
    mac         BINARY(32)      NOT NULL,
    anchored_at DATETIME(6)     NOT NULL,
    KEY audit_anchor_chain (chain, seq),
    KEY audit_anchor_name (name, chain, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- A table from before the chains of a proxy were found by its name. MySQL adds no key "if not exists".
SET @candado_key = IF(
    EXISTS (
        SELECT 1 FROM information_schema.STATISTICS
        WHERE CONCAT(TABLE_SCHEMA, '.') = 'candado.' AND TABLE_NAME = 'audit_anchor' AND INDEX_NAME = 'audit_anchor_name'
    ),
    'DO 0',
    'ALTER TABLE candado.audit_anchor ADD KEY audit_anchor_name (name, chain, seq)'
);
PREPARE candado_key FROM @candado_key;
EXECUTE candado_key;
DEALLOCATE PREPARE candado_key;

-- What accounts with a budget have been shown, by all proxies together: one row for each account (`user@host`) and minute or
-- day, which begins anew with the first cell after its end. `taken` is what proxies have been given of the limit; what they do
-- not use they give back. `searches` is a minute of values that are searched for and not seen (`[role.NAME.search]`). `rows` is a
-- day of different cells, over all columns, of which proxies have told (table `budget_rows`).
CREATE TABLE IF NOT EXISTS candado.budget_window (
    account  VARCHAR(336)                              CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    span     ENUM('minute', 'day', 'searches', 'rows') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    began_at DATETIME(6)                               NOT NULL,
    taken    BIGINT UNSIGNED                           NOT NULL,
    PRIMARY KEY (account, span)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- A table from before searches or different rows were counted in it.
ALTER TABLE candado.budget_window
    MODIFY span ENUM('minute', 'day', 'searches', 'rows') CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

-- Which different cells accounts with `distinct_rows_per_day` have been shown today, as proxies tell each other: `digests` are
-- the first 8 bytes of the SHA-256 of each cell as it is stored, an envelope in any case. Who can also read the application's
-- tables learns which rows an account was shown. `began_at` names the day, and proxies delete rows of days that are over.
CREATE TABLE IF NOT EXISTS candado.budget_rows (
    rows_id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account      VARCHAR(336)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    began_at     DATETIME(6)     NOT NULL,
    table_schema VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name   VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    column_name  VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    digests      BLOB            NOT NULL,
    KEY budget_rows_account (account, began_at, rows_id),
    KEY budget_rows_day (began_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Budgets that are elevated for a while (`candado budget elevate`), by the request that was approved. Proxies believe a row
-- only if enough of the people in their configuration have signed what it says.
CREATE TABLE IF NOT EXISTS candado.budget_elevation (
    request_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    account    VARCHAR(336)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    factor     INT UNSIGNED    NOT NULL,
    minutes    INT UNSIGNED    NOT NULL,
    reason     VARCHAR(512)    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    began_at   DATETIME(6)     NOT NULL,
    ends_at    DATETIME(6)     NOT NULL,
    KEY budget_elevation_end (ends_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;


-- ---------------------------------------------------------------------------------------------------------------------
-- Part 2: accounts
--
-- Placeholders: the names `candado_proxy`, `candado_security`, `candado_backfill` and `candado_auditor` and the host part
-- `%`. Replace `%` by the hosts that the accounts connect from. The accounts are created locked and without a password;
-- when the grants are right, open those that you use:
--
--   ALTER USER 'candado_proxy'@'%' IDENTIFIED BY '..' REQUIRE SSL ACCOUNT UNLOCK;
--   ALTER USER 'candado_security'@'%' IDENTIFIED BY '..' REQUIRE SSL ACCOUNT UNLOCK;
--   ALTER USER 'candado_auditor'@'%' IDENTIFIED BY '..' REQUIRE SSL ACCOUNT UNLOCK;
--
-- Statements inside /*! .. */ run on MySQL alone, those inside /*M! .. */ on MariaDB alone.
-- ---------------------------------------------------------------------------------------------------------------------

-- The proxy's control account (`candado serve`, `candado check`, `candado keys list`).
CREATE USER IF NOT EXISTS 'candado_proxy'@'%' ACCOUNT LOCK;

-- Key store: reads all, publishes a key's check value once, reports that it is alive. It cannot create keys of a keyset,
-- change their states, or touch a wrapped key.
GRANT SELECT ON candado.* TO 'candado_proxy'@'%';
GRANT UPDATE (kcv) ON candado.data_key TO 'candado_proxy'@'%';
GRANT INSERT, UPDATE ON candado.replica TO 'candado_proxy'@'%';

-- Keys of data subjects: the proxy makes one when a person's first row is written. It can neither change nor destroy one.
GRANT INSERT ON candado.subject_key TO 'candado_proxy'@'%';

-- Profiles of the firewall: the proxy adds what it learns and counts it. It can neither end a profile's learning, nor begin
-- it again, nor allow an exception.
GRANT INSERT, UPDATE (version) ON candado.firewall_profile TO 'candado_proxy'@'%';
GRANT INSERT, UPDATE (seen) ON candado.firewall_digest TO 'candado_proxy'@'%';

-- Record of accesses: the proxy adds anchors, and changes none.
GRANT INSERT ON candado.audit_anchor TO 'candado_proxy'@'%';

-- Budgets: the proxy counts what accounts are shown.
GRANT INSERT, UPDATE ON candado.budget_window TO 'candado_proxy'@'%';
GRANT INSERT, DELETE ON candado.budget_rows TO 'candado_proxy'@'%';

-- Catalog: what the proxy must know to find protected columns in a statement. Tried on MySQL 9.7 and MariaDB 10.11:
--
--   REFERENCES    shows tables, columns, indexes and CHECK constraints in information_schema, and reads no row. (SHOW
--                 VIEW alone shows tables without their columns; SELECT would show columns and rows.) Give it on *.*,
--                 or on every database that a protected statement may name: a table that the proxy cannot see is
--                 unknown to it, and unknown names beside protected columns are refused.
--   SHOW VIEW     is one half of reading a view's text.
--   SHOW_ROUTINE  [MySQL] shows the bodies of procedures and functions.
--   SELECT ON mysql.proc  [MariaDB] does the same there.
--
-- Triggers and events need no privilege: inside the server there is nothing but ciphertext. Where the account happens
-- to see them (privileges TRIGGER, EVENT), their text is loaded too.
GRANT REFERENCES, SHOW VIEW ON *.* TO 'candado_proxy'@'%';
/*!80020 GRANT SHOW_ROUTINE ON *.* TO 'candado_proxy'@'%' */;
/*M! GRANT SELECT ON mysql.proc TO 'candado_proxy'@'%' */;

-- Views: a server shows a view's text only to who may also read the view. Without the grant below the proxy knows the
-- view and its columns but not what it is made of, and refuses statements that name it. With it, the account can read
-- that view's rows (protected columns as ciphertext). Give it for each view that applications use through the proxy:
--
--   GRANT SELECT ON your_database.your_view TO 'candado_proxy'@'%';

-- The security team (`candado keys ..`): creates keys, moves them through their life, exchanges and deletes wraps, and
-- publishes a new epoch. It reads no application data, and the key provider gives it no plaintext key. It cannot delete a
-- key's row, change what a key is for, or touch a check value.
CREATE USER IF NOT EXISTS 'candado_security'@'%' ACCOUNT LOCK;

GRANT SELECT ON candado.* TO 'candado_security'@'%';
GRANT INSERT, UPDATE ON candado.epoch TO 'candado_security'@'%';
GRANT INSERT ON candado.keyset TO 'candado_security'@'%';
GRANT INSERT ON candado.data_key TO 'candado_security'@'%';
GRANT UPDATE (state, activated_at, deactivated_at, destroyed_at, changed_at, row_version) ON candado.data_key
    TO 'candado_security'@'%';
GRANT INSERT, DELETE ON candado.wrapped_key TO 'candado_security'@'%';
GRANT UPDATE (wrapped, wrap_version, wrapped_at) ON candado.wrapped_key TO 'candado_security'@'%';
GRANT DELETE ON candado.replica TO 'candado_security'@'%';
GRANT UPDATE (wrapped, destroyed_at) ON candado.subject_key TO 'candado_security'@'%';

-- The record of acts, and who writes it: the security team and the engine that converts columns. They add rows and move
-- the head; nobody changes or deletes a row. `kcv` is for the audit key's check value, published by `keys init`.
CREATE USER IF NOT EXISTS 'candado_backfill'@'%' ACCOUNT LOCK;
GRANT UPDATE (kcv) ON candado.data_key TO 'candado_security'@'%';
GRANT SELECT, INSERT ON candado.event TO 'candado_security'@'%', 'candado_backfill'@'%';
GRANT SELECT, UPDATE (seq, kid, mac, seal) ON candado.event_head TO 'candado_security'@'%', 'candado_backfill'@'%';
GRANT INSERT ON candado.event_head TO 'candado_security'@'%';
GRANT SELECT ON candado.epoch TO 'candado_backfill'@'%';
GRANT SELECT ON candado.keyset TO 'candado_backfill'@'%';
GRANT SELECT ON candado.data_key TO 'candado_backfill'@'%';
GRANT SELECT ON candado.wrapped_key TO 'candado_backfill'@'%';

-- Approvals: both ask and use up what was approved; the security team's account also files signatures.
GRANT SELECT, INSERT, UPDATE (used_at) ON candado.approval_request TO 'candado_security'@'%', 'candado_backfill'@'%';
GRANT SELECT ON candado.approval_signature TO 'candado_backfill'@'%';
GRANT INSERT ON candado.approval_signature TO 'candado_security'@'%';

-- Elevations of budgets (`candado budget elevate`). A row without signatures counts for nothing.
GRANT INSERT ON candado.budget_elevation TO 'candado_security'@'%';

-- Profiles and exceptions of the firewall (`candado firewall ..`).
GRANT INSERT, UPDATE (frozen_at, version) ON candado.firewall_profile TO 'candado_security'@'%';
GRANT INSERT, UPDATE (first_seen, seen), DELETE ON candado.firewall_digest TO 'candado_security'@'%';
GRANT INSERT, UPDATE, DELETE ON candado.firewall_exception TO 'candado_security'@'%';

-- The auditor (`candado audit verify | list | export`) reads the key store and its record, and writes nothing.
CREATE USER IF NOT EXISTS 'candado_auditor'@'%' ACCOUNT LOCK;
GRANT SELECT ON candado.* TO 'candado_auditor'@'%';

-- The engine that converts existing rows (`candado column ..`), for as long as it runs. It opens keys like a proxy, and
-- reads and changes the application's tables.
--
--   PROCESS  shows open transactions (information_schema.innodb_trx), which are waited for, and Threads_running.
--
-- Give it, for each table with protected columns (TRIGGER lets it see triggers, of which it must know):
--
--   GRANT SELECT, UPDATE, TRIGGER ON your_database.your_table TO 'candado_backfill'@'%';
--
-- and, if it shall change the table itself (`--ddl run`):
--
--   GRANT ALTER, CREATE, INSERT, INDEX ON your_database.your_table TO 'candado_backfill'@'%';
--
-- For `--lag-max` on a replica: REPLICATION CLIENT, on MariaDB REPLICA MONITOR.
-- Open it, when a job is due, with:
--
--   ALTER USER 'candado_backfill'@'%' IDENTIFIED BY '..' REQUIRE SSL ACCOUNT UNLOCK;
GRANT SELECT ON candado.* TO 'candado_backfill'@'%';
GRANT UPDATE (kcv) ON candado.data_key TO 'candado_backfill'@'%';
GRANT UPDATE (epoch) ON candado.epoch TO 'candado_backfill'@'%';
GRANT INSERT, UPDATE ON candado.column_stage TO 'candado_backfill'@'%';
GRANT INSERT, UPDATE ON candado.job TO 'candado_backfill'@'%';
GRANT INSERT, UPDATE ON candado.job_chunk TO 'candado_backfill'@'%';
GRANT INSERT, UPDATE ON candado.proof TO 'candado_backfill'@'%';
GRANT INSERT ON candado.subject_key TO 'candado_backfill'@'%';
GRANT UPDATE (sk_kid, wrapped) ON candado.subject_key TO 'candado_backfill'@'%';
GRANT PROCESS ON *.* TO 'candado_backfill'@'%';
