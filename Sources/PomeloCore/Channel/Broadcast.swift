// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON
import PomeloLoop

/// Whether a broadcast reaches a session of this frontend, for the parameter its sender gave.
public typealias BroadcastFilter = @Loop (_ session: ClientSession, _ parameter: JSON) -> Bool

/// A broadcast as it travels.
///
/// ```
/// bound u32: 1 or 0 | filter name text, or empty | parameter data (JSON) | route text | body to the end
/// → a report
/// ```
private struct Broadcast {
    var isBound: Bool
    var filter: (name: String, parameter: JSON)?

    init(isBound: Bool, filter: (name: String, parameter: JSON)?) {
        self.isBound = isBound
        self.filter = filter
    }

    init(_ reader: inout PayloadReader) throws {
        isBound = try reader.count() == 1
        let name = try reader.text()
        let parameter = try reader.data()
        if !name.isEmpty { filter = (name, try JSON.parse(parameter)) }
    }

    func payload(_ message: PushMessage) -> Bytes {
        var payload = PayloadWriter()
        payload.count(isBound ? 1 : 0)
        payload.text(filter?.name ?? "")
        payload.data(filter?.parameter.encoded() ?? [])
        payload.text(message.route)
        payload.rest(message.body)
        return payload.bytes
    }
}

extension ChannelService {
    /// Pushes to every session at the frontends of a type, or to the bound ones, or to those a filter lets through.
    ///
    /// The filter is one of the `broadcastFilters` of each frontend; one without it reaches nobody and is in `failed`.
    ///
    /// - Guarantee: at most once per session, whatever number of sessions its user has.
    /// - Complexity: one call per frontend, none to the own one.
    /// - Returns: what was queued; empty when there is no frontend of the type.
    /// - Throws: `PomeloError` `.encoding`.
    /// - Source: pomelo 2.2.7, lib/common/remote/frontend/channelRemote.js, `broadcast`, where a bound user of many
    ///   sessions got the message that number of times on each.
    @discardableResult
    public func broadcast<Message>(
        to type: ServerType, _ push: Push<Message>, _ message: Message, bound: Bool = false,
        filter: (name: String, parameter: JSON)? = nil
    ) async throws -> PushReport {
        let message = try PushMessage(push, message)
        let broadcast = Broadcast(isBound: bound, filter: filter)
        let own = context.serverID
        let frontends = context.servers.frontendIDs(type)
        var report = PushReport()
        report.isIncomplete = !fanout.isViewComplete
        let bytes = broadcast.payload(message)
        let others = frontends.filter { $0 != own }
        let isHere = others.count < frontends.count
        let here: @Loop () async -> PushReport = { await self.deliver(broadcast, message) }
        report.merge(await fanout.callEach(others, .channelBroadcast, here: isHere ? here : nil) { _ in bytes })
        return report
    }

    func serveBroadcasts() {
        context.procedures.replying(.channelBroadcast) { [unowned self] _, payload, reply in
            var reader = PayloadReader(payload)
            let broadcast = try Broadcast(&reader)
            let message = try PushMessage(route: reader.text(), body: reader.rest())
            try self.deliver(broadcast, message) { reply(.success(Fanout.encode($0))) }
        }
    }

    private func deliver(_ broadcast: Broadcast, _ message: PushMessage) async -> PushReport {
        await withCheckedContinuation { continuation in
            do {
                try deliver(broadcast, message) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: fanout.refusal(error))
            }
        }
    }

    private func deliver(
        _ broadcast: Broadcast, _ message: PushMessage, done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws {
        var serves: (@Loop (ClientSession) -> Bool)?
        if let (name, parameter) = broadcast.filter {
            guard let filter = broadcastFilters[Text(name)] else {
                throw PomeloError(.configuration, "\(context.serverID) has no broadcast filter \(name)")
            }
            serves = { filter($0, parameter) }
        }
        context.pushSchedulers.assign(message)
        let sessions = context.sessions
        let audience = broadcast.isBound ? Array(sessions.bound) : Array(sessions.all)
        try fanout.queue.push(message, to: audience, where: serves, done: done)
    }
}
