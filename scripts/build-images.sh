#!/usr/bin/env bash
# Builds the three images from the Dockerfile.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/build-images.sh [--engine ENGINE] [--tag TAG] [--programs FOLDER]

Builds the images order-food, database-migration and database-load. The same sources, or the same programs, make the
same images: their time is that of the last commit (or SOURCE_DATE_EPOCH).

  --engine ENGINE     docker, podman or buildah; default: the first of these that works. The two others make images of the
                      OCI format, which has no HEALTHCHECK; with BUILDAH_FORMAT=docker they make docker's
  --tag TAG           default: the version in Cargo.toml, which is what the chart uses
  --programs FOLDER   pack the programs that scripts/build-programs.sh built, instead of compiling in a container
TEXT
}

fail() { echo "build-images.sh: $*" >&2; exit "${code:-1}"; }

engine='' tag='' programs=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --engine | --tag | --programs)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ -z "$programs" ] || programs=$(realpath "$programs")

cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
tag=${tag:-$version}
works() { command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1; }
if [ -z "$engine" ]; then
  for engine in docker podman buildah none; do
    ! works "$engine" || break
  done
fi
case $engine in
  docker | podman | buildah) works "$engine" || fail "$engine is missing, or does not run: try \"$engine info\"" ;;
  none) fail "none of docker, podman and buildah works: install one, and see that its daemon runs" ;;
  *) code=2 fail "the engine is docker, podman or buildah, not $engine" ;;
esac

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --pretty=%ct 2>/dev/null || echo 0)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
context=.
dockerfile=Dockerfile
if [ "$engine" != docker ] && [ "${BUILDAH_FORMAT:-oci}" = oci ]; then
  # The OCI format has no HEALTHCHECK, and podman and buildah warn of it.
  dockerfile=$folder/Dockerfile
  sed '/^HEALTHCHECK /d' Dockerfile >"$dockerfile"
fi
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --file "$dockerfile")
if [ -n "$programs" ]; then
  context=$folder/image
  scripts/image-files.sh "$programs" "$context"
  arguments+=(--build-arg PROGRAMS=prebuilt)
fi
case $engine in
  docker)
    build=(docker build --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
    export DOCKER_BUILDKIT=1
    ;;
  *) build=("$engine" build --timestamp "$SOURCE_DATE_EPOCH" --quiet) ;;
esac
for image in order-food database-migration database-load; do
  # The name in full is what a node of a cluster makes of the short one.
  echo "build-images.sh: $engine builds docker.io/library/$image:$tag" >&2
  "${build[@]}" "${arguments[@]}" --target "$image" --tag "docker.io/library/$image:$tag" "$context" >&2
done
