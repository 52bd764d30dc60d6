# SPDX-License-Identifier: MIT
#
# The fuzzers of Tests/Fuzz, for `./dev fuzz`, which sources this file.

# Compiles a target with the codecs and the files that it names behind `with:`, all as one module; so the lines that
# import the modules these come from are left out. Files of C stand behind `c:`.
build_fuzz() {
    local source=$1 name=$2 path copy sources=() options=() objects=()
    mkdir -p ".build/fuzz/$name" ".build/fuzz/$name.sources"
    for path in $(find Sources/Pomelo{Bytes,JSON,Wire} -name '*.swift') $(sed -n 's|^// with: ||p' "$source"); do
        copy=.build/fuzz/$name.sources/${path//\//-}
        # One module sees an import in one way only.
        sed -E -e '/^ *(public |package )?import (Pomelo[A-Za-z]*|DequeModule)$/d' \
            -e 's/^( *)(public |package )import/\1import/' "$path" >"$copy"
        sources+=("$copy")
    done
    for path in $(sed -n 's|^// c: ||p' "$source"); do
        copy=.build/fuzz/$name.sources/${path//\//-}.o
        clang -c -O1 -I "$(dirname "$path")/include" "$path" -o "$copy"
        objects+=("$copy")
    done
    read -ra options < <(sed -n 's|^// swiftc: ||p' "$source") || true
    swiftc -O -sanitize=fuzzer,address -parse-as-library -package-name pomelo "${options[@]}" "${sources[@]}" \
        "${objects[@]}" "$source" -o ".build/fuzz/$name.run"
}

# fuzz_targets [SECONDS] [NAME]: all targets, or the one.
fuzz_targets() {
    local seconds=${1:-300} only=${2:-*} source name corpus
    for source in Tests/Fuzz/${only}Fuzz.swift; do
        name=$(basename "$source" Fuzz.swift)
        corpus=$(find Tests/Fuzz/Corpus -mindepth 1 -maxdepth 1 -iname "$name")
        echo "== $name, $seconds s"
        build_fuzz "$source" "$name"
        # New inputs go to the first folder; a crash is kept beside it.
        SWIFT_BACKTRACE=enable=no ".build/fuzz/$name.run" -max_len=4096 -max_total_time="$seconds" -print_final_stats=1 \
            -artifact_prefix=".build/fuzz/$name-" ".build/fuzz/$name" ${corpus:+"$corpus"}
    done
}
