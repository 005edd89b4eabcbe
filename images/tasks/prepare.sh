#!/bin/sh
# Fills the volumes the tasks mount, then makes schemas and signing keys. Harmless when all of it is there.
set -eu
umask 077

# lay FROM INTO: what changed comes whole, file by file, and what is no longer there goes: a task may be reading.
lay() {
    files=$(cd "$1" && find . -type f -size +0)
    if [ -z "$files" ]; then echo "nothing to read in $1" >&2; exit 1; fi
    echo "$files" | while read -r file; do
        if ! cmp -s "$1/$file" "$2/$file"; then
            mkdir -p "$(dirname "$2/$file")"
            cp "$1/$file" "$2/$file.new"
            mv "$2/$file.new" "$2/$file"
        fi
    done
    (cd "$2" && find . -type f) | while read -r file; do
        if [ ! -s "$1/$file" ]; then rm "$2/$file"; fi
    done
}

lay /opt/configs /srv/configs
lay /run/secrets /srv/secrets
python -m tasks database upgrade
python -m tasks keys init
