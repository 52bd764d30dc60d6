# SPDX-License-Identifier: MIT
#
# What takes hours: `./dev soak`, which sources this file.

# Without a part all of them, the sanitizers for so many minutes.
soak_parts() {
    local parts=(campaign redis sync mutations simulations fuzz sanitizers) part=all
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
    soak_redis 0
    soak_sync 2
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
    swift build "${release[@]}" --product Chat
    node Tests/Campaign/run.mjs --minutes "$minutes" "${@:2}"
}

# Every fault of Tests/ProcessTests/RedisFault.swift, again and again until the time is over.
soak_redis() {
    local end=$((SECONDS + ${1:-0} * 60)) alone=()
    swift build --build-tests "${traits[@]}"
    swift build "${release[@]}" --product Chat
    # Rules before the table of local addresses are what loses packets there.
    local set_up="ip link set lo up && ip rule add pref 10 lookup local && ip rule del pref 0"
    alone=(unshare --user --map-root-user --net bash -c "$set_up && POMELO_OWN_NETWORK=1 exec \"\$@\"" alone)
    if ! "${alone[@]}" true 2>/dev/null; then
        echo "no network namespace is allowed here: no packets are lost"
        alone=()
    fi
    while :; do
        # One at a time, so what is promised within a time is held to it.
        POMELO_BIN=$PWD/.build/release POMELO_ALONE=1 POMELO_FAULTS='' \
            SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=1 "${alone[@]}" \
            swift test --skip-build --disable-xctest "${traits[@]}" \
            --filter '^ProcessTests\.(RedisFailureTests|FailureTests|ChatContractTests|SyncServerTests)'
        ((SECONDS < end)) || break
    done
}

# What sync has acknowledged, so many minutes for each kind of sink, with faults by chance.
soak_sync() {
    swift build --build-tests "${traits[@]}"
    swift build -c release --product SyncServer "${traits[@]}"
    POMELO_BIN=$PWD/.build/release POMELO_CAMPAIGN_MINUTES=${1:-5} \
        swift test --skip-build --disable-xctest "${traits[@]}" --filter '^ProcessTests\.SyncCampaignTests'
}

soak_simulations() {
    swift build --build-tests "${traits[@]}"
    POMELO_SIMULATION_SEEDS=10000 swift test --skip-build --disable-xctest "${traits[@]}" --filter '^SimulationTests\.'
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
        swift build --build-tests "${traits[@]}" --sanitize="$sanitizer" --scratch-path ".build-$sanitizer"
        swift_tests --sanitize="$sanitizer" --scratch-path ".build-$sanitizer"
        if [[ $sanitizer == thread ]]; then sanitizer=address; else sanitizer=thread; fi
    done
}
