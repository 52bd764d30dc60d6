// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloRedis

/// Brings to each plugin what it is told, from its stream; one process of the cluster does so at a time.
///
/// - Guarantee: at least once, and in order for each key, for as long as a plugin is registered. What a plugin does not
///   take is tried again after 1, 5 and 30 s, then it is a dead letter, and the key goes on. While its gate is shut
///   nothing is tried. Another process that takes over begins with what was not confirmed.
@Loop final class PluginDelivery {
    private static let look = Duration.milliseconds(100)

    private let router: PluginRouter
    private let streams: PluginStreams
    private let clock: any LoopClock
    private let log: Logger
    private let failures: LimitedLog
    private var lines: [PluginID: DeliveryLine] = [:]
    private var task: Task<Void, Never>?
    private let latest: LatestEvents

    init(_ router: PluginRouter, _ redis: any RedisPort, _ context: ServiceContext) {
        self.router = router
        streams = PluginStreams(redis, cluster: context.clusterName)
        clock = context.clock
        log = context.log
        failures = LimitedLog(
            log, clock, "events for plugins wait: their streams cannot be read", lines: 1, per: .seconds(30))
        latest = LatestEvents(router, context)
    }

    /// Whether this process is the one that delivers.
    var isOurs: @Loop () -> Bool = { false }

    /// Tells what is superseded by the next of its kind: the latest, once, with no second try.
    func tell(_ event: ExtensionEvent) {
        if isOurs() { latest.tell(event) }
    }

    func start() {
        guard task == nil else { return }
        task = Loop.spawn { [weak self] in
            while !Task.isCancelled {
                guard let self else { return }
                await self.clock.sleep(for: Self.look)
                if !Task.isCancelled { await self.round() }
            }
        }
    }

    func stop() {
        task?.cancel()
        task = nil
        for line in lines.values { line.end() }
        lines = [:]
    }

    private func round() async {
        guard isOurs() else {
            for line in lines.values { line.end() }
            lines = [:]
            return
        }
        let plugins = router.follower.view.records.values.filter { record in
            record.trial == nil && record.identity.bindings.contains { $0.owner == PluginImplementers.owner }
        }
        for (id, line) in lines where !plugins.contains(where: { $0.id == id }) {
            line.end()
            lines[id] = nil
        }
        for plugin in plugins where PluginGate.refusal(plugin.status) == nil {
            let line = lines[plugin.id] ?? DeliveryLine(plugin.id, router, streams, clock, log)
            lines[plugin.id] = line
            do throws(RedisError) {
                try await line.fill()
            } catch {
                failures.write(["plugin": "\(plugin.id)", "plugins.reason": "\(error)"])
            }
            // REENTRANCY: it may be another's by now, and every line ended.
            guard isOurs(), task != nil else { return }
        }
    }
}

/// What is superseded: per plugin, point and key the latest event that was not told yet, one call at a time.
@Loop private final class LatestEvents {
    private static let deadline = Duration.seconds(5)
    private static let limit = 1024

    private struct Line: Hashable {
        let plugin: PluginID
        let point: PointName
        let key: Text
    }

    private let router: PluginRouter
    private let failures: LimitedLog
    private var waiting: [Line: (PluginImplementation, Bytes)] = [:]
    private var busy: Set<Line> = []

    init(_ router: PluginRouter, _ context: ServiceContext) {
        self.router = router
        failures = LimitedLog(
            context.log, context.clock, "a plugin was not told", level: .info, lines: 1, per: .seconds(10))
    }

    func tell(_ event: ExtensionEvent) {
        let body = event.json.encoded()
        for implementation in router.follower.view.implementers(of: PluginImplementers.owner, event.point.name) {
            let line = Line(plugin: implementation.id, point: event.point.name, key: Text(event.key))
            guard waiting[line] != nil || waiting.count < Self.limit else { continue }
            waiting[line] = (implementation, body)
            drain(line)
        }
    }

    private func drain(_ line: Line) {
        guard !busy.contains(line) else { return }
        busy.insert(line)
        Loop.spawn {
            while let (implementation, body) = self.waiting.removeValue(forKey: line) {
                do {
                    _ = try await self.router.answer(to: body, of: implementation, within: Self.deadline)
                } catch {
                    self.failures.write(["plugin": "\(line.plugin)", "plugins.reason": "\(error)"])
                }
            }
            self.busy.remove(line)
        }
    }
}
