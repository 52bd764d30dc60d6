// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// Users, each with the number of the question about it, as two servers send them to each other.
///
/// ```
/// count u32 | for each: uid text, generation u64
/// ```
struct WatchList {
    /// What each user's question is numbered; a repeated question has a greater number.
    var users: [UserID: UInt64]

    init(_ users: [UserID: UInt64]) { self.users = users }

    init(_ payload: Bytes) throws(PomeloError) {
        var reader = PayloadReader(payload)
        let list = try reader.list { reader throws(PomeloError) in (UserID(try reader.text()), try reader.number()) }
        users = Dictionary(list) { _, last in last }
    }

    var encoded: Bytes {
        var payload = PayloadWriter()
        payload.count(users.count)
        for (uid, generation) in users.sorted(by: { $0.key < $1.key }) {
            payload.text(uid.rawValue)
            payload.number(generation)
        }
        return payload.bytes
    }
}

/// Brings users to one server: those of a turn in one call, one call at a time, again until it is confirmed.
///
/// What waits is one number per user, so it is bounded by the users. It gives up on a server that stays unknown, and
/// at once on a start of it that is over.
@Loop final class WatchNotifier {
    private static let batchLength = 1024
    /// Attempts in a row at a server that is not in the view: about eight seconds, for a view may be behind.
    private static let attemptsAtUnknown = 6

    /// A call under way holds it.
    private unowned let context: ServiceContext
    private let server: ServerID
    private let procedure: Procedure
    private let instance: InstanceID?
    private var waiting: [UserID: UInt64] = [:]
    private var backoff = Backoff(first: .milliseconds(250), limit: .seconds(8))
    private var isSending = false
    private var isOver = false
    private var timer: TimerID?
    /// The server has confirmed these users, and replied.
    var delivered: @Loop ([UserID: UInt64], Bytes) -> Void = { _, _ in }
    /// The server is not in the view, and stays away.
    var gaveUp: @Loop () -> Void = {}

    /// Without an `instance`, the start of the server that is in the view when a call is made.
    init(_ context: ServiceContext, to server: ServerID, _ procedure: Procedure, _ instance: InstanceID? = nil) {
        self.context = context
        self.server = server
        self.procedure = procedure
        self.instance = instance
    }

    func send(_ uid: UserID, _ generation: UInt64) {
        waiting[uid] = generation
        begin()
    }

    /// Nothing is sent any more.
    func stop() {
        isOver = true
        if let timer { context.clock.cancel(timer) }
    }

    private func begin() {
        guard !isSending, timer == nil, !isOver else { return }
        isSending = true
        Loop.spawn { [context] in await self.run(context) }
    }

    private func run(_ context: ServiceContext) async {
        defer { isSending = false }
        while !isOver, !waiting.isEmpty {
            let batch = takeBatch()
            do throws(RPCError) {
                guard let target = instance ?? context.servers[server]?.instance else {
                    throw .notSent("\(server) is not in the view")
                }
                let reply = try await context.rpc.system(
                    server, procedure.at(target), WatchList(batch).encoded, within: context.limits.pushCall)
                backoff.succeeded()
                if !isOver { delivered(batch, reply) }
            } catch {
                waiting.merge(batch) { later, _ in later }
                return pause(error)
            }
        }
    }

    private func takeBatch() -> [UserID: UInt64] {
        guard waiting.count > Self.batchLength else {
            defer { waiting = [:] }
            return waiting
        }
        let batch = Dictionary(uniqueKeysWithValues: waiting.prefix(Self.batchLength).map { ($0.key, $0.value) })
        for uid in batch.keys { waiting[uid] = nil }
        return batch
    }

    private func pause(_ error: RPCError) {
        guard !isOver else { return }
        context.log.debug("\(procedure) to \(server) is tried again", metadata: ["error": "\(error)"])
        let pause = backoff.failed()
        let isReplaced = instance != nil && error.isReplaced
        if isReplaced || (backoff.failures >= Self.attemptsAtUnknown && context.servers[server] == nil) {
            stop()
            return gaveUp()
        }
        timer = context.clock.schedule(after: context.random.jittered(pause)) { [weak self] in
            self?.timer = nil
            self?.begin()
        }
    }
}
