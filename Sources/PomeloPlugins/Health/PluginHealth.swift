// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop

/// What is thought of an address by its answers: 3 bad ones in a row, and it has failed; 2 good ones, and it has not.
struct ProbeCount {
    private static let badToFail = 3
    private static let goodToServe = 2
    private var bad = 0
    private var good = 0
    /// What it says of itself, or that it has failed.
    private(set) var status: PluginStatus

    init(_ status: PluginStatus) { self.status = status }

    /// Takes what was answered; nil: nothing that can be understood, in time.
    mutating func take(_ answer: PluginStatus?) {
        guard let answer, answer != .failed else {
            good = 0
            bad += 1
            // Who says that it has failed is believed at once.
            if answer == .failed || bad >= Self.badToFail { status = .failed }
            return
        }
        bad = 0
        good += 1
        if status != .failed || good >= Self.goodToServe { status = answer }
    }
}

/// Asks every plugin for its status, again and again, and writes down what has changed.
///
/// One process of the cluster does so at a time, by an election; another one within its term and a second when it dies.
///
/// - Guarantee: a plugin that stops to answer is FAILED within three probes and a second each, and every process knows
///   within half a second more; one that answers again is what it says within two.
@Loop final class PluginHealth {
    /// Probes under way at a time.
    private static let width = 32

    /// Whether this process is the one that asks.
    var isOurs: @Loop () -> Bool = { false }
    private let follower: PluginFollower
    private let registry: PluginRegistry
    private let options: KeelOptions
    private let caller: any PluginCaller
    private let clock: any LoopClock
    private let random: RandomSource
    private let log: Logger
    private let failures: LimitedLog
    private var counts: [Instances.Place: ProbeCount] = [:]
    private var asked: [PluginID: String] = [:]
    /// Registrations that are being ended, and when that was seen first.
    private var leaving: [Text: UInt64] = [:]
    private var task: Task<Void, Never>?

    init(_ registry: PluginRegistry, _ options: KeelOptions, _ caller: any PluginCaller, _ context: ServiceContext) {
        follower = registry.follower
        self.registry = registry
        self.options = options
        self.caller = caller
        clock = context.clock
        random = context.random
        log = context.log
        failures = LimitedLog(
            log, clock, "what a probe has found cannot be written", lines: 1, per: .seconds(30))
    }

    /// Begins to ask.
    func start() {
        guard task == nil else { return }
        (counts, leaving) = ([:], [:])
        task = Loop.spawn { [weak self] in
            while !Task.isCancelled {
                guard let self else { return }
                await self.clock.sleep(for: self.random.jittered(self.options.probeEvery, by: 0.2))
                if !Task.isCancelled, self.isOurs() { await self.round() }
            }
        }
    }

    func stop() {
        task?.cancel()
        task = nil
    }

    /// Asks everybody once.
    func round() async {
        let records = follower.view.records.values.filter {
            $0.trial == nil && $0.reason != PluginRegistry.leaving
        }
        let places = records.flatMap { record in
            follower.view.addresses(of: record, at: follower.now).map {
                Instances.Place(plugin: record.id, address: $0)
            }
        }
        // What is registered anew begins anew.
        let known = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0.registration) })
        counts = counts.filter { places.contains($0.key) && asked[$0.key.plugin] == known[$0.key.plugin] }
        asked = known
        var waiting = places[...]
        while !waiting.isEmpty {
            let tasks = waiting.prefix(Self.width).map { place in
                Loop.spawn { self.note(await self.probe(place), of: place) }
            }
            waiting = waiting.dropFirst(Self.width)
            for task in tasks { await task.value }
        }
        await write(records)
        await finishLeaving()
    }

    /// Ends what a process began that died before the plugin was gone: until then nobody could register it.
    private func finishLeaving() async {
        let records = follower.view.records.values.filter { $0.reason == PluginRegistry.leaving }
        let known = leaving
        let now = clock.now
        leaving = Dictionary(
            uniqueKeysWithValues: records.map { (Text($0.registration), known[Text($0.registration)] ?? now) })
        for record in records {
            guard let since = known[Text(record.registration)], isOurs(),
                now >= since &+ PluginRegistry.leavingTime.clampedNanoseconds
            else { continue }
            do throws(PluginAnswer) {
                try await registry.finish(record.id, record.registration)
            } catch {
                failures.write(["plugin": "\(record.id)", "plugins.reason": "\(error.msg)"])
            }
        }
    }

    private func probe(_ place: Instances.Place) async -> PluginStatus? {
        var request = PluginRequest("GET", "/v1/status")
        if let token = options.appToken { request.headers.append(PluginHeader("dapr-api-token", token)) }
        do {
            let response = try await caller.call(
                place.address, request, within: options.probeDeadline, limit: PluginIdentity.maxBytes)
            let reply = try PluginReply(response, from: "/v1/status").accepted("/v1/status")
            return PluginStatus(reply.body["status"])
        } catch {
            return nil
        }
    }

    private func note(_ answer: PluginStatus?, of place: Instances.Place) {
        let present = follower.view.records[place.plugin]?.status ?? .starting
        counts[place, default: ProbeCount(present)].take(answer)
    }

    /// A plugin is what the best of its addresses is.
    private func status(of record: PluginRecord) -> PluginStatus? {
        let found = counts.filter { $0.key.plugin == record.id }.map(\.value.status)
        return [PluginStatus.active, .starting, .stopping, .failed].first(where: found.contains)
    }

    private func write(_ asked: [PluginRecord]) async {
        let found = asked.compactMap { record in status(of: record).map { (record, $0) } }
        let hasNews = found.contains { $0.0.status != $0.1 }
        guard isOurs(), hasNews || !PluginRegistry.leftovers(follower.view, at: follower.now).isEmpty else { return }
        do throws(PluginAnswer) {
            try await follower.change { view in
                guard self.isOurs() else { return [] }
                return PluginRegistry.leftovers(view, at: self.follower.now)
                    + found.compactMap { record, status in self.changed(record, to: status, in: view) }
            }
        } catch {
            failures.write(["plugins.reason": "\(error.msg)"])
        }
    }

    /// Nil when the plugin is another one by now, or is leaving, or is that already.
    private func changed(
        _ asked: PluginRecord, to status: PluginStatus, in view: PluginView
    ) -> PluginChange? {
        guard var record = view.plugin(asked.id), record.registration == asked.registration,
            record.reason != PluginRegistry.leaving, record.status != status
        else { return nil }
        log.notice(
            "a plugin's status has changed",
            metadata: ["plugin": "\(record.id)", "plugin.status": "\(status)", "plugin.before": "\(record.status)"])
        (record.status, record.reason) = (status, status == .failed ? "does not answer its probes" : "")
        return .put(record)
    }
}
