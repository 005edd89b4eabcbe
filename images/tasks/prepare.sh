#!/bin/sh
# Fills the volumes the tasks mount, then makes schemas and signing keys. Harmless when all of it is there.
set -eu
umask 077
find /srv/configs -mindepth 1 -delete
cp -R /opt/configs/. /srv/configs/
find /srv/secrets -mindepth 1 -delete
for file in /run/secrets/*; do
    if [ -s "$file" ]; then cp "$file" /srv/secrets/; fi
done
python -m tasks database upgrade
python -m tasks keys init
