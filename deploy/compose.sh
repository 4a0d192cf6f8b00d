# shellcheck shell=bash
# Sourced by kafka-up, kafka-down and kafka-status: Docker Compose on this project's file.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# A number made of the checkout's path: each checkout has containers and volumes of its own.
TRIPSTREAM_COMPOSE_PROJECT=${TRIPSTREAM_COMPOSE_PROJECT:-tripstream-$(printf '%s' "$checkout" | cksum | cut -d ' ' -f 1)}
export TRIPSTREAM_COMPOSE_PROJECT

compose() {
  docker compose --file "$checkout/docker-compose.yml" --project-name "$TRIPSTREAM_COMPOSE_PROJECT" "$@"
}

# Whether an engine is there to talk to, not just the client.
compose_answers() { docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

# Whether Docker has containers of this checkout, running or stopped.
compose_has_containers() { compose_answers && [[ -n $(compose ps --quiet --all) ]]; }

say_compose_addresses() {
  echo "Kafka      127.0.0.1:${KAFKA_PORT:-9092}"
  echo "registry   http://localhost:${REGISTRY_PORT:-8081}/apis/ccompat/v7"
  echo "project    $TRIPSTREAM_COMPOSE_PROJECT; its containers reach them as kafka:29092 and http://registry:8080/apis/ccompat/v7"
}
