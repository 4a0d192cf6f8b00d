# shellcheck shell=bash
# Servers that run in the background, each with a pid file and a log in a data directory. To be sourced, with these set:
#   here                the directory of the script
#   data                the data directory
#   start_timeout       how long a start may take, in seconds; start_timeout_hint says how to change it
#   marker NAME         prints what the command line of our server NAME, and of no other process, contains

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# --- processes --------------------------------------------------------------------------

# Prints the pid of our server NAME; fails when it isn't running. A pid file alone isn't
# believed: its number may by now be somebody else's process.
running() {
  local pid command_line
  pid=$(cat "$data/$1.pid" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  if [[ -r /proc/$pid/cmdline ]]; then
    command_line=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || return 1
  else
    command_line=$(ps -ww -o args= -p "$pid" 2>/dev/null) || return 1
  fi
  [[ $command_line == *"$(marker "$1")"* ]] || return 1
  printf '%s' "$pid"
}

# already NAME PORT VARIABLE: says so if it is running, and refuses to call another port "ready".
already() {
  local pid port
  pid=$(running "$1") || return 1
  port=$(cat "$data/$1.port")
  [[ $port == "$2" ]] ||
    die "$1 is running in $data on port $port, not $2: stop it first, set $3=$port, or run a second one beside it with another data directory"
  say "$1 is already running (pid $pid)"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

require_free_port() { # name port variable
  [[ $2 =~ ^[0-9]+$ && $2 -ge 1 && $2 -le 65535 ]] || die "$3=$2 is not a port"
  if listens "$2"; then
    "$here/devstack" holds "$2" && die "the dev stack listens on port $2: 'make stop' ends it, then $1 can start there"
    die "port $2 is taken, $1 can't start there: stop what listens on it, or set $3 to a free port"
  fi
}

started=""

# launch NAME PORT COMMAND...: runs it in the background, out of reach of the terminal's Ctrl-C.
launch() {
  local name=$1 port=$2 log=$data/$1.log
  shift 2
  printf '%s\n' "$port" >"$data/$name.port"
  [[ -f $log ]] && mv -f "$log" "$log.1"
  # Descriptor 9 is our lock: a child that kept it would hold it for as long as it lives.
  set -m
  nohup "$@" </dev/null >"$log" 2>&1 9>&- &
  printf '%s\n' $! >"$data/$name.pid"
  disown $!
  set +m
  started="$started $name"
}

# Stops what this call has started, so that a failed start leaves nothing behind.
undo() {
  local name
  for name in $started; do
    stop "$name" >/dev/null
  done
}

# await NAME READY: waits until the function READY succeeds.
await() {
  local name=$1 ready=$2 log=$data/$1.log deadline=$((SECONDS + start_timeout))
  until "$ready"; do
    # `running` alone won't do: for an instant the new process still has bash's command line.
    if ! running "$name" >/dev/null && ! kill -0 "$(cat "$data/$name.pid")" 2>/dev/null; then
      tail -n 8 "$log" >&2
      undo
      die "$name ended while it started; its log: $log"
    fi
    if ((SECONDS >= deadline)); then
      undo
      die "$name was not ready after $start_timeout s${start_timeout_hint:-}; its log: $log"
    fi
    sleep 0.1
  done
  say "$name is ready on port $(cat "$data/$name.port")"
}

stop() {
  local name=$1 pid deadline=$((SECONDS + 30))
  if ! pid=$(running "$name"); then
    rm -f "$data/$name.pid"
    say "$name is not running ($data)"
    return
  fi
  kill -TERM "$pid" 2>/dev/null || true
  while running "$name" >/dev/null; do
    if ((SECONDS >= deadline)); then
      say "$name did not stop within 30 s: killing it"
      kill -KILL "$pid" 2>/dev/null || true
      deadline=$((SECONDS + 30))
    fi
    sleep 0.05
  done
  rm -f "$data/$name.pid"
  say "$name stopped (pid $pid)"
}

# --- the data directory -----------------------------------------------------------------

# prepare_data TEXT: makes it, with TEXT in its README. Only a directory with that file is ever cleaned.
prepare_data() {
  mkdir -p "$data"
  data=$(cd "$data" && pwd -P)
  [[ -f $data/README ]] || say "$1" >"$data/README"
}

is_ours() { grep -q "deploy/${0##*/}" "$data/README" 2>/dev/null; }

# Two starts at the same time in one directory: the second waits, then finds all running.
lock() {
  if command -v flock >/dev/null; then
    exec 9>"$data/lock"
    flock -w "$start_timeout" 9 || die "another ${0##*/} is at work in $data"
  fi
}
