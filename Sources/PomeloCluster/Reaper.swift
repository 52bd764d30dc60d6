// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Removes servers that are gone: lease ended, and no answer to a ping; and runs the cleaners for them.
///
/// Every server has one and all of them look; the clean-up token makes one of them do the work. One that dies half
/// way leaves the entry and a token that ends, so that another begins anew.
@Loop final class Reaper {
    /// The token ended during a clean-up, or belongs to another.
    struct TokenLost: Error {}

    /// Registration order is order of call.
    var cleaners: [any LeaseCleaner] = []

    private let registry: ClusterRegistry
    private let own: ServerInfo
    private let transport: any RPCTransport
    private let clock: any LoopClock
    private let random: RandomSource
    private let options: ClusterOptions
    private let log: Logger
    private var isStopped = false
    private var examined: Set<ServerID> = []
    /// Servers that are left alone until then.
    private var spared: [ServerID: UInt64] = [:]
    private var manyGoneSince: UInt64?

    init(
        _ registry: ClusterRegistry, own: ServerInfo, _ transport: any RPCTransport, clock: any LoopClock,
        random: RandomSource, options: ClusterOptions, log: Logger
    ) {
        self.registry = registry
        self.own = own
        self.transport = transport
        self.clock = clock
        self.random = random
        self.options = options
        self.log = log
    }

    func stop() { isStopped = true }

    // MARK: looking

    /// How many ids a look should bring: those that are spared must not hide the others.
    var lookLimit: Int { ClusterRegistry.lookLimit + spared.count }

    /// Begins to examine the servers whose leases have ended.
    func consider(_ look: ClusterRegistry.Look) {
        spared = spared.filter { clock.now < $0.value }
        guard !isStopped, !isSuspicious(look) else { return }
        for id in look.ended where id != own.id && spared[id] == nil {
            guard examined.count < ClusterRegistry.lookLimit else { return }
            guard examined.insert(id).inserted else { continue }
            Loop.spawn {
                await self.examine(id)
                self.examined.remove(id)
            }
        }
    }

    /// Many leases that end at once are more likely one outage or a step of a clock: then all get one more lease.
    private func isSuspicious(_ look: ClusterRegistry.Look) -> Bool {
        guard look.endedLeases > 2, look.endedLeases * 10 > look.leases * 3 else {
            manyGoneSince = nil
            return false
        }
        let since = manyGoneSince ?? clock.now
        if manyGoneSince == nil {
            manyGoneSince = since
            log.warning(
                "many leases have ended at once: waiting one more lease",
                metadata: ["pomelo.ended": "\(look.endedLeases)", "pomelo.leases": "\(look.leases)"])
        }
        return clock.now < since + options.lease.clampedNanoseconds
    }

    // MARK: one server

    private func examine(_ id: ServerID) async {
        do {
            let entry = try await registry.entry(of: id)
            let info = RegistryEntry.decode(entry, of: id)
            // A gate without channels must not remove a connector with members: nobody would clean up any more.
            guard Set(info?.services ?? []).isSubset(of: cleaners.map(\.name)) else {
                return leaveAlone(id, for: options.lease)
            }
            if let info,
                await transport.ping(info, within: options.pingDeadline)
            {
                log.warning("its lease has ended, but it answers", metadata: ["pomelo.peer": "\(id)"])
                return leaveAlone(id, for: options.lease)
            }
            let token = makeToken()
            guard try await registry.takeToken(id, token, for: options.reapToken) else { return }
            // It may have come back before the token was ours; from now on a join waits for us.
            guard try await registry.isGone(id, entry: entry) else {
                _ = try await registry.release(id, token)
                return
            }
            let instance = RegistryEntry.instance(entry)
            // Without an entry nobody knows whose state it is: the token is as good a mark.
            try await runCleaners(for: id, instance == "" ? InstanceID(token) : instance, token)
            let removed = try await registry.removeExpired(id, instance)
            _ = try await registry.finish(id, token)
            if removed { log.notice("removed a server that is gone", metadata: ["pomelo.peer": "\(id)"]) }
        } catch is RedisError {
            // The next look begins anew.
            leaveAlone(id, for: options.scanEvery)
        } catch {
            log.warning(
                "cannot clean up after a server",
                metadata: ["pomelo.peer": "\(id)", "pomelo.reason": "\(error)"])
            leaveAlone(id, for: options.reapToken)
        }
    }

    private func leaveAlone(_ id: ServerID, for time: Duration) { spared[id] = clock.deadline(after: time) }

    /// Names who works, for people who look into Redis.
    func makeToken() -> String { "\(own.instance)/\(random.instanceID())" }

    /// Runs all cleaners for a server whose token is ours; `instance` is the one that is gone, or our own.
    func runCleaners(for id: ServerID, _ instance: InstanceID, _ token: String) async throws {
        guard try await registry.begin(id, instance, token) else { throw TokenLost() }
        for cleaner in cleaners {
            try await cleaner.cleanUp(id, instance: instance) {
                guard !self.isStopped,
                    try await self.registry.keepToken(id, token, for: self.options.reapToken)
                else {
                    throw TokenLost()
                }
            }
        }
    }
}
