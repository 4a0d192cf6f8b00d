# shellcheck shell=bash
# Sourced by kafka-up and kafka-down: Docker Compose on this project's file.

compose_file=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/docker-compose.yml

compose() { docker compose --file "$compose_file" "$@"; }

# Whether an engine is there to talk to, not just the client.
compose_answers() { docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }
