// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloLoop

/// Pushes to users at known frontends: one call per frontend, more only for very many users; the own one without.
///
/// ```
/// call   route text | user ids texts | body to the end
/// reply  queued u32 | slow u32 | follows gone u32: 1 or 0 | user ids without a session, texts
/// ```
@Loop public final class Fanout {
    /// Users named in one call, so that reading them is no long turn.
    private static let batchLength = 4096
    /// Owns this.
    private unowned let context: ServiceContext
    /// Pushes by user id and broadcasts on their way to this server's clients.
    let queue = DeliveryQueue()

    /// Deliveries of a turn before senders wait for the next, and so many more as a push by itself costs.
    private static let (turnShare, pushCost) = (2048, 16)
    private var (turn, pushed) = (0, 0)

    init(_ context: ServiceContext) {
        self.context = context
        context.procedures.replying(.channelPush) { [unowned self] _, payload, reply in
            var reader = PayloadReader(payload)
            let route = try reader.text()
            let uids = try reader.texts().map { UserID($0) }
            let message = try PushMessage(route: route, body: reader.rest())
            try self.deliver(message, to: uids) { reply(.success(Self.encode($0))) }
        }
    }

    /// Whether this server knows of everybody whom a push to all is for.
    var isViewComplete: Bool { context.isViewComplete }

    /// Pushes one message to users, grouped by the frontend that holds them.
    ///
    /// - Guarantee: at most once per session; frontends that do not answer within 2 s are in `failed`.
    public func push(_ message: PushMessage, to users: [ServerID: [UserID]]) async -> PushReport {
        var report = PushReport()
        for part in await pushEach(message, to: users).values { report.merge(part) }
        return report
    }

    /// Pushes as `push` does, and tells of each frontend apart.
    public func pushEach(_ message: PushMessage, to users: [ServerID: [UserID]]) async -> [ServerID: PushReport] {
        var calls: [(server: ServerID, payload: Bytes)] = []
        for (server, uids) in users where server != context.serverID {
            for start in stride(from: 0, to: uids.count, by: Self.batchLength) {
                var payload = PayloadWriter()
                payload.text(message.route)
                payload.texts(uids[start..<min(start + Self.batchLength, uids.count)].map(\.rawValue))
                payload.rest(message.body)
                calls.append((server, payload.bytes))
            }
        }
        let gathering = begin(calls, .channelPush)
        var reports: [ServerID: PushReport] = [:]
        if let own = users[context.serverID] { reports[context.serverID] = await deliver(message, to: own) }
        if calls.isEmpty { await letOthersIn(after: reports[context.serverID] ?? PushReport()) }
        reports.merge(await gathering.reports()) { own, _ in own }
        for server in reports.keys where reports[server]?.failed.isEmpty == false {
            reports[server]?.failedUids = (users[server] ?? []).sorted()
        }
        return reports
    }

    /// Pushes to the sessions of users on this frontend; many go in slices, one push after the other.
    public func deliver(_ message: PushMessage, to uids: [UserID]) async -> PushReport {
        await withCheckedContinuation { continuation in
            do throws(PomeloError) {
                try deliver(message, to: uids) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: refusal(error))
            }
        }
    }

    /// The report of this frontend's part when it could not be begun.
    public func refusal(_ error: any Error) -> PushReport {
        var report = PushReport()
        report.failed[context.serverID] = .failed(code: 500, message: "\(error)")
        return report
    }

    private func deliver(
        _ message: PushMessage, to uids: [UserID], done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws(PomeloError) {
        context.pushSchedulers.assign(message)
        let sessions = context.sessions
        let bytes = message.body.count + uids.reduce(0) { $0 + MemoryLayout<UserID>.stride + $1.rawValue.utf8.count }
        var next = 0
        try queue.run(holding: bytes, done: done) { report in
            let end = min(uids.count, next + DeliveryQueue.sliceLength)
            for uid in uids[next..<end] {
                let found = sessions.get(byUid: uid)
                if found.isEmpty { report.noSession.append(uid) }
                for session in found { report.send(message, to: session) }
            }
            next = end
            return next == uids.count
        }
    }

    /// Calls one procedure on several servers at once; who fails is in the report's `failed`, but for those that do not
    /// serve it: they have nobody.
    ///
    /// This server's part, if there is one, is done while the calls are on their way.
    public func callEach(
        _ servers: [ServerID], _ procedure: Procedure, here: (@Loop () async -> PushReport)? = nil,
        _ payload: (ServerID) -> Bytes
    ) async -> PushReport {
        let gathering = begin(servers.map { ($0, payload($0)) }, procedure)
        var report = await here?() ?? PushReport()
        if servers.isEmpty { await letOthersIn(after: report) }
        for part in await gathering.reports().values { report.merge(part) }
        return report
    }

    /// Suspends to the next turn when this one has seen enough pushes.
    ///
    /// Who pushes to this server's clients alone awaits nobody, and in a row of pushes would never give the loop back.
    package func letOthersIn(after report: PushReport) async {
        if turn != EventLoop.turn { (turn, pushed) = (EventLoop.turn, 0) }
        pushed += Self.pushCost + report.queued + report.slow
        guard pushed > Self.turnShare else { return }
        await withCheckedContinuation { waiter in EventLoop.shared.inNextTurn { waiter.resume() } }
    }

    private func begin(_ calls: [(server: ServerID, payload: Bytes)], _ procedure: Procedure) -> Gathering {
        let gathering = Gathering(expected: calls.count)
        let deadline = context.limits.pushCall
        for (server, payload) in calls {
            context.transport.call(server, procedure, payload, within: deadline) { outcome in
                gathering.add(Self.decode(outcome, server), of: server)
            }
        }
        return gathering
    }

    /// The wire form of a frontend's part of a report.
    public static func encode(_ report: PushReport) -> Bytes {
        var payload = PayloadWriter(capacity: 16)
        payload.count(report.queued)
        payload.count(report.slow)
        payload.count(report.followsGone ? 1 : 0)
        payload.texts(report.noSession.map(\.rawValue))
        return payload.bytes
    }

    private static func decode(_ outcome: Result<Bytes, RPCError>, _ server: ServerID) -> PushReport {
        var report = PushReport()
        do {
            var reader = PayloadReader(try outcome.get())
            report.queued = try reader.count()
            report.slow = try reader.count()
            report.followsGone = try reader.count() == 1
            report.noSession = try reader.texts().map { UserID($0) }
        } catch RPCError.unimplemented {
            // A server without the service has nobody to reach.
        } catch let error as RPCError {
            report.failed[server] = error
        } catch {
            report.failed[server] = .failed(code: 500, message: "\(error)")
        }
        return report
    }
}

/// Collects the parts of one report.
@Loop private final class Gathering {
    private var missing: Int
    private var parts: [ServerID: PushReport] = [:]
    private var continuation: CheckedContinuation<[ServerID: PushReport], Never>?

    init(expected: Int) { missing = expected }

    func add(_ part: PushReport, of server: ServerID) {
        parts[server, default: PushReport()].merge(part)
        missing -= 1
        if missing == 0 { continuation?.resume(returning: parts) }
    }

    func reports() async -> [ServerID: PushReport] {
        await withCheckedContinuation { waiter in
            if missing == 0 { waiter.resume(returning: parts) } else { continuation = waiter }
        }
    }
}
