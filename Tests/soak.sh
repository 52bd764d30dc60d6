# SPDX-License-Identifier: MIT
#
# What takes hours: `./dev soak`, which sources this file.

# Without a part all of them, the sanitizers for so many minutes.
soak_parts() {
    local parts=(campaign mutations simulations fuzz sanitizers) part=all
    if [[ " ${parts[*]} " == *" ${1:-none} "* ]]; then
        part=$1
        shift
    fi
    [[ ${1:-60} =~ ^[0-9]+$ ]] || die "soak takes one of ${parts[*]}, and minutes"
    if [[ $part != all ]]; then
        "soak_$part" "$@"
        return
    fi
    soak_campaign 2 --clients 60 --faults 4
    soak_mutations
    soak_simulations
    soak_campaign 30
    soak_fuzz
    soak_sanitizers "${1:-60}"
}

soak_mutations() {
    mutate
}

soak_campaign() {
    local minutes=${1:-30}
    swift build -c release --product Chat
    node Tests/Campaign/run.mjs --minutes "$minutes" "${@:2}"
}

soak_simulations() {
    swift build --build-tests
    POMELO_SIMULATION_SEEDS=10000 swift test --skip-build --disable-xctest --filter '^SimulationTests\.'
}

# So many minutes for each codec.
soak_fuzz() {
    fuzz $((${1:-10} * 60))
}

# Every test under one sanitizer, then under the other, until the time is over.
soak_sanitizers() {
    local end=$((SECONDS + ${1:-60} * 60)) sanitizer=thread
    while ((SECONDS < end)); do
        echo "== $sanitizer sanitizer"
        swift build --build-tests --sanitize="$sanitizer" --scratch-path ".build-$sanitizer"
        swift_tests --sanitize="$sanitizer" --scratch-path ".build-$sanitizer"
        if [[ $sanitizer == thread ]]; then sanitizer=address; else sanitizer=thread; fi
    done
}
