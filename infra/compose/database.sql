-- Run once, as the superuser, when the database is created. Migrations own it and make the logins of the processes.
--
-- The superuser keeps no password: it is reached only from inside the container, over the socket.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/waybill_migrate.password`

CREATE ROLE waybill_migrate LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE waybill OWNER TO waybill_migrate;
ALTER ROLE postgres PASSWORD NULL;

-- Not a trusted extension: only a superuser may create it.
CREATE EXTENSION vector;
