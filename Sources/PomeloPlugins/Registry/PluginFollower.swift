// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis

/// What this process knows of the registry.
///
/// - Guarantee: a change is known here half a second after it was made, and a moment after when its hint arrives; while
///   Redis is away what was known last stays. A registry that has lost changes, with its Redis, is put back as it was
///   known by whoever sees that first.
@Loop final class PluginFollower {
    private static let pollEvery = Duration.milliseconds(500)

    private(set) var view = PluginView.empty
    /// Called behind each change.
    var onChange: (@Loop (PluginView) -> Void)?
    /// Whether the registry was read at all.
    private(set) var isLoaded = false
    private let store: PluginStore
    private let messages: (any RedisMessages)?
    private let clock: any LoopClock
    private let random: RandomSource
    private let failures: LimitedLog
    private let oddities: LimitedLog
    /// How far the clock of Redis is ahead of ours, in milliseconds.
    private var ahead: Int64 = 0
    private var polling: Task<Void, Never>?
    private var refreshing: Task<Void, Never>?
    private var isStale = false

    init(_ store: PluginStore, _ messages: (any RedisMessages)?, _ context: ServiceContext) {
        self.store = store
        self.messages = messages
        clock = context.clock
        random = context.random
        failures = LimitedLog(
            context.log, clock, "the registry of plugins cannot be read", lines: 1, per: .seconds(30))
        oddities = LimitedLog(
            context.log, clock, "the registry of plugins has an entry that cannot be read", lines: 1, per: .seconds(60))
    }

    /// Unix milliseconds, by the clock of Redis as far as it is known.
    var now: Int64 { clock.wallMilliseconds &+ ahead }

    func start() async {
        polling = Loop.spawn { [weak self] in
            while !Task.isCancelled {
                guard let pause = self?.pause, let clock = self?.clock else { return }
                await clock.sleep(for: pause)
                await self?.look()
            }
        }
        await subscribe()
        await refresh()
    }

    func stop() {
        polling?.cancel()
        polling = nil
        messages?.unsubscribe(store.hint)
    }

    private var pause: Duration { random.jittered(Self.pollEvery * 0.9, by: 0.1) }

    private func subscribe() async {
        guard let messages else { return }
        do {
            try await messages.subscribe(store.hint) { [weak self] _ in
                guard let self else { return }
                Loop.spawn { await self.refresh() }
            }
        } catch {
            // The poll finds what the hint would have told.
            failures.write(["plugins.reason": "\(error)"])
        }
    }

    private func look() async {
        do {
            guard try await store.epoch() != view.epoch || !isLoaded else { return }
            await refresh()
        } catch {
            failures.write(["plugins.reason": "\(error)"])
        }
    }

    /// Reads the registry, and returns when what was in it at the time of the call is known here, or cannot be read.
    func refresh() async {
        isStale = true
        if let refreshing { await refreshing.value }
        guard isStale else { return }
        // REENTRANCY: several may have waited for one; the first of them reads for all.
        if let refreshing { return await refreshing.value }
        isStale = false
        let task = Loop.spawn { await self.read() }
        refreshing = task
        await task.value
        if refreshing == task { refreshing = nil }
    }

    /// The registry as it is in Redis now.
    func current() async throws(RedisError) -> PluginView {
        let snapshot = try await store.load()
        await take(snapshot)
        return view
    }

    private func read() async {
        do {
            await take(try await store.load())
        } catch {
            failures.write(["plugins.reason": "\(error)"])
        }
    }

    private func take(_ snapshot: PluginSnapshot) async {
        for field in snapshot.unreadable { oddities.write(["plugins.field": "\(field.forLog)"]) }
        ahead = snapshot.now &- clock.wallMilliseconds
        guard snapshot.view.epoch >= view.epoch else { return await restore(over: snapshot.view) }
        isLoaded = true
        guard snapshot.view.epoch > view.epoch else { return }
        view = snapshot.view
        onChange?(view)
    }

    /// Redis has lost changes: what was known is the truth.
    private func restore(over old: PluginView) async {
        var changes = view.records.values.sorted { $0.id < $1.id }.map { PluginChange.put($0) }
        changes += view.keys.map { .putKey($0) } + view.leases.map { .putLease($0) }
        changes += old.records.keys.filter { view.records[$0] == nil }.map { .remove($0) }
        changes += old.keys.filter { key in !view.keys.contains { $0.id == key.id } }.map { .removeKey($0.id) }
        do {
            _ = try await store.change(over: old.epoch, changes)
        } catch {
            return failures.write(["plugins.reason": "\(error)"])
        }
        // Whoever was first: what is there now has a later epoch than all that was seen.
        isStale = true
    }

    /// Makes a change of what is there, again and again until nobody else was first.
    ///
    /// The body goes from the registry as it is to the changes; when it throws nothing is changed.
    @discardableResult func change(
        _ body: @Loop (PluginView) throws(PluginAnswer) -> [PluginChange]
    ) async throws(PluginAnswer) -> PluginView {
        for _ in 0..<Self.attempts {
            let present: PluginView
            do { present = try await current() } catch { throw Self.unavailable(error) }
            let changes = try body(present)
            if changes.isEmpty { return present }
            do {
                if try await store.change(over: present.epoch, changes) != nil {
                    // It is made, whatever becomes of this: who cannot read it now has it with the next look.
                    await read()
                    return view
                }
            } catch {
                throw Self.unavailable(error)
            }
        }
        throw PluginAnswer(503, "the registry changes all the time")
    }

    private static let attempts = 16

    private static func unavailable(_ error: RedisError) -> PluginAnswer {
        PluginAnswer(503, "the registry cannot be reached: \(error)")
    }
}
