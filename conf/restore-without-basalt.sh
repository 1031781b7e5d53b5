#!/bin/sh
# Restores a backup from Basalt's volume files without Basalt. It needs GNU tar, zstd, sh, awk, sed, sort, b3sum
# and the usual small programs; setfattr for attributes and ACLs. Run it as root to get owners and devices back.
#
#   sh restore-without-basalt.sh list VOLUME...             which jobs have their lists on these volumes
#   sh restore-without-basalt.sh JOBID TARGET VOLUME...     the state that this job found, into the new directory TARGET
#
# Name every volume that may hold something of the job, its parents or its Bases: best all that there are, in any order.
# TARGET.work needs room for the content of all of them, each content once; it may be removed afterwards.
set -eu
LC_ALL=C
export LC_ALL
umask 077
tab=$(printf '\t')

fail() {
  echo "restore-without-basalt: $*" >&2
  exit 1
}

# Run by tar for each regular file on a volume, its bytes on standard input. Content is kept under its digest, so that
# it is found again wherever it lies; pieces of lists are kept by job, revision and number.
store() {
  top=${TAR_FILENAME%%/*}
  rest=${TAR_FILENAME#*/}
  case $rest in
    .basalt/manifest/*) revision=1 ;;
    .basalt/manifest.*) revision=${rest#.basalt/manifest.} revision=${revision%%/*} ;;
    *)
      if [ "$LISTS_ONLY" = yes ]; then cat >/dev/null; return; fi
      cat >"$WORK/new"
      digest=$(b3sum --no-names <"$WORK/new")
      mv "$WORK/new" "$WORK/content/${digest%% *}"
      return
      ;;
  esac
  piece="$WORK/lists/${top#job}/$revision/${rest##*/}"
  mkdir -p "${piece%/*}"
  cat >"$WORK/new"
  if [ -e "$piece" ] && ! cmp -s "$WORK/new" "$piece"; then
    echo "two different jobs are called $top: give volumes of one storage daemon only" >>"$WORK/conflicts"
  fi
  mv "$WORK/new" "$piece"
}

# unpack VOLUMES: reads them into $WORK.
unpack() {
  for volume; do
    echo "reading $volume" >&2
    # shellcheck disable=SC2016
    tar --zstd --force-local --to-command='sh "$SCRIPT" --store' -xf "$volume" ||
      echo "warning: $volume could not be read to its end" >&2
  done
  if [ -e "$WORK/conflicts" ]; then fail "$(cat "$WORK/conflicts")"; fi
}

# complete DIRECTORY: true when the pieces in it are a whole list.
complete() {
  cat "$1"/* | awk '/^# end rows=/ { end = substr($0, 12) } /^[fdlcbpx]\t/ { rows++ } END { exit end == "" || end + 0 != rows + 0 }'
}

# The newest whole list of each job becomes $WORK/list.JOBID; $WORK/jobs says UUID, JobId and UUID of the original if
# it is a copy.
gather() {
  : >"$WORK/jobs"
  for job in "$WORK"/lists/*; do
    [ -d "$job" ] || continue
    for revision in $(ls "$job" | sort -rn); do
      complete "$job/$revision" || continue
      cat "$job/$revision"/* >"$WORK/list.${job##*/}"
      echo "$(fact uuid "${job##*/}") ${job##*/} $(fact copyof "${job##*/}")" >>"$WORK/jobs"
      break
    done
  done
}

# fact NAME JOBID
fact() {
  sed -n "/^# $1=/{s///p;q;}" "$WORK/list.$2"
}

# numbers UUID,UUID: their JobIds, in order. A copy stands for an original that is gone.
numbers() {
  for uuid in $(echo "$1" | tr , ' '); do
    number=$(sed -n "s/^$uuid \([0-9]*\) .*/\1/p" "$WORK/jobs")
    [ -n "$number" ] || number=$(sed -n "s/^[^ ]* \([0-9]*\) $uuid\$/\1/p" "$WORK/jobs" | tail -n 1)
    [ -n "$number" ] || fail "the list of job $uuid, which is needed, is on none of these volumes"
    echo "$number"
  done
}

# The job and what it lies over, topmost first: itself, the last of its parents and what that one lies over; the Bases
# of the one that has no parents.
layers() {
  layer=$1
  while :; do
    echo "$layer"
    parents=$(fact parents "$layer")
    [ -n "$parents" ] || break
    layer=$(numbers "${parents##*,}")
  done
  numbers "$(fact bases "$layer")"
}

# All lists, one after the other, with a key for sorting in front: path (with / below all other bytes), list, and the
# order in which the lines of an entry are wanted: itself, its parts, its attributes, a dot that ends it.
keyed() {
  rank=0
  for job; do
    rank=$((rank + 1))
    awk -F '\t' -v rank="$rank" '
      /^#/ { next }
      $1 == "+" { print key "\t" rank "\t1\t" NR "\t" $0; next }
      $1 == "@" { print key "\t" rank "\t2\t" NR "\t" $0; next }
      { key = $2; gsub("/", "\001", key); print key "\t" rank "\t0\t0\t" $0; print key "\t" rank "\t3\t0\t." }
    ' "$WORK/list.$job"
  done
}

# Of each path the topmost list counts. What is no directory (a deletion too) hides all below it in lower lists.
overlay() {
  awk -F '\t' '
    function below(top) { return index($1, top) == 1 }
    $1 != last {
      last = $1; first = $2 + 0; pushed = 0
      while (depth > 0 && !below(hider[depth])) depth--
      shown = $5 != "x" && !(depth > 0 && hide[depth] < first)
      if (shown && leaf != "" && below(leaf)) {
        print "warning: left out, it lies below something that is no directory: " $6 >"/dev/stderr"
        shown = 0
      }
      if (shown) leaf = $5 == "d" ? "" : $1 "\001"
    }
    $3 == 0 && $5 != "d" && !pushed {
      pushed = 1; depth++; hider[depth] = $1 "\001"; hide[depth] = $2 + 0
      if (depth > 1 && hide[depth - 1] < hide[depth]) hide[depth] = hide[depth - 1]
    }
    shown && $2 + 0 == first { sub(/^[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t/, ""); print }
  '
}

# Sets $decoded to the bytes of an escaped text.
decode() {
  decoded=$1
  case $1 in
    *\\*)
      decoded=$(printf '%b.' "$1")
      decoded=${decoded%.}
      ;;
  esac
}

lost() {
  echo "not restored: $1" >&2
  lost=$((lost + 1))
  file=
}

# place PATH: sets $file to where it is to be restored.
place() {
  case "$1/" in
    */../* | */./* | *//*) [ "$1" = / ] || fail "impossible path in a list: $1" ;;
  esac
  decode "$1"
  file=$TARGET$decoded
}

# The content of a small file, or the beginning of a large one.
content() {
  case $1 in
    -) : >"$file" ;;
    parts:*) : >"$file" ;;
    blake3:*)
      how=never
      case $flags in *s*) how=always ;; esac
      cp --sparse="$how" "$WORK/content/${1#blake3:}" "$file"
      ;;
  esac
}

# parts "DIGEST:LENGTH zero:LENGTH ...": appends to $file.
parts() {
  words=$1
  set --
  for part in $words; do
    case $part in
      zero:*)
        [ $# = 0 ] || cat "$@" >>"$file" || return
        set --
        case $flags in
          *s*) truncate -s "+${part#*:}" "$file" ;;
          *) head -c "${part#*:}" /dev/zero >>"$file" ;;
        esac || return
        ;;
      *) set -- "$@" "$WORK/content/${part%:*}" ;;
    esac
  done
  [ $# = 0 ] || cat "$@" >>"$file"
}

# attribute NAME VALUE
attribute() {
  [ -n "$setfattr" ] || return 0
  decode "$1"
  if [ "$2" = - ]; then
    setfattr -h -n "$decoded" -- "$file"
  else
    setfattr -h -n "$decoded" -v "0s$2" -- "$file"
  fi || echo "warning: attribute $1 of $path was not set" >&2
}

own() {
  [ -n "$owned" ] || chown -h "$owner" "$file" || echo "warning: owner of $path was not set" >&2
  owned=yes
}

# make: a new entry from the fields of its line.
make() {
  case $group in
    - | "$path") ;;
    *)
      new=$file
      place "$group"
      if ln -P "$file" "$new"; then file=; else lost "$path"; fi
      return
      ;;
  esac
  case $type in
    d) mkdir -p "$file" ;;
    f) content "$sum" ;;
    l) decode "$target" && ln -s -- "$decoded" "$file" ;;
    p) mkfifo "$file" ;;
    *) mknod "$file" "$type" "${target%:*}" "${target#*:}" ;;
  esac || lost "$path"
  [ "$type" != d ] || file=
}

# Everything but the metadata of directories, which making entries in them would change again.
entries() {
  while IFS=$tab read -r a b c d e f g h i j k l; do
    case $a in
      +) [ -z "$file" ] || parts "$b" || lost "$path" ;;
      @) if [ -n "$file" ]; then own && attribute "$b" "$c"; fi ;;
      .)
        [ -n "$file" ] || continue
        own
        if [ "$type" = f ] && [ "$(stat -c %s "$file")" != "$size" ]; then lost "$path" && continue; fi
        [ "$type" = l ] || chmod "$mode" "$file" || echo "warning: mode of $path was not set" >&2
        touch -h -d "@$time" "$file" || echo "warning: time of $path was not set" >&2
        ;;
      *)
        type=$a path=$b mode=$c owner=$d:$e size=$f time=$g flags=$h group=$i target=$j sum=$k
        owned=
        place "$path"
        make
        ;;
    esac
  done <"$WORK/plan"
}

directories() {
  file=
  while IFS=$tab read -r a b c d e f g h; do
    case $a in
      d)
        path=$b owner=$d:$e time=$g owned=
        place "$path"
        ;;
      @) if [ -n "$file" ]; then own && attribute "$b" "$c"; fi ;;
      .)
        if [ -n "$file" ]; then own && touch -h -d "@$time" "$file"; fi || echo "warning: time of $path was not set" >&2
        file=
        ;;
    esac
  done <"$WORK/plan"
  # Innermost first: a directory that may not be entered is closed last.
  sed -n "/^d$tab/p" "$WORK/plan" | sort -r -t "$tab" -k 2,2 | while IFS=$tab read -r a path mode e; do
    place "$path"
    chmod "$mode" "$file" || echo "warning: mode of $path was not set" >&2
  done
}

if [ "${1:-}" = --store ]; then
  store
  exit
fi
SCRIPT=$0
LISTS_ONLY=no
case ${1:-} in
  list)
    [ $# -ge 2 ] || fail "usage: list VOLUME..."
    shift
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    LISTS_ONLY=yes
    ;;
  '' | *[!0-9]*) fail "usage: list VOLUME... | JOBID TARGET VOLUME..." ;;
  *)
    [ $# -ge 3 ] || fail "usage: JOBID TARGET VOLUME..."
    command -v b3sum >/dev/null || fail "b3sum is missing: it is in the package of that name"
    wanted=$1 TARGET=$2
    shift 2
    case $TARGET in /*) ;; *) TARGET=$PWD/$TARGET ;; esac
    mkdir "$TARGET"
    WORK=$TARGET.work
    mkdir "$WORK" "$WORK/content"
    ;;
esac
export SCRIPT WORK LISTS_ONLY
mkdir "$WORK/lists"
unpack "$@"
gather
if [ "$LISTS_ONLY" = yes ]; then
  for list in "$WORK"/list.*; do
    [ -e "$list" ] || continue
    number=${list##*.}
    torn=$([ "$(fact type "$number")" != I ] || echo " incomplete")
    echo "$number $(fact job "$number") $(fact level "$number")$torn parents=$(fact parents "$number") bases=$(fact bases "$number") volumes=$(fact volumes "$number")"
  done | sort -n
  exit
fi
[ -e "$WORK/list.$wanted" ] || fail "no whole list of job $wanted on these volumes"
[ "$(fact type "$wanted")" != I ] || echo "warning: job $wanted ended early: what follows is all that it had stored" >&2
setfattr=$(command -v setfattr) || echo "warning: without setfattr attributes and ACLs are left out" >&2
over=$(layers "$wanted")
# shellcheck disable=SC2086
keyed $over | sort -T "$WORK" -t "$tab" -k 1,1 -k 2,2n -k 3,3n -k 4,4n | overlay >"$WORK/plan"
lost=0
file=
entries
directories
[ "$lost" = 0 ] || fail "$lost entries are missing"
echo "job $wanted is restored in $TARGET" >&2
