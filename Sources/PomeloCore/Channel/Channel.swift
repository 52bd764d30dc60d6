// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A group of users at frontends, of this process's making.
///
/// A membership ends with the user's last session at its frontend: at the own one before the closed event, at another
/// one as soon as that has told, and when that one is gone or has started anew.
///
/// - Guarantee: no member stays without a session, once the servers reach each other; one added again after its session
///   ended is not dropped for the old session's sake.
/// - Source: pomelo 2.2.7, lib/common/service/channelService.js; there members stayed until the application removed
///   them, and one added twice got two messages.
@Loop public final class Channel {
    /// Unique among the channels of this process that are not destroyed.
    public let name: ChannelName
    /// Set when the channel was destroyed; then `add` returns false and pushes throw.
    public private(set) var isDestroyed = false
    /// Memberships: a user at two frontends counts twice.
    public private(set) var count = 0
    private(set) var members: [ServerID: Set<UserID>] = [:]
    private weak var service: ChannelService?

    init(_ name: ChannelName, _ service: ChannelService) {
        self.name = name
        self.service = service
    }

    /// Adds a user at a frontend, whose session is looked up there again.
    ///
    /// - Returns: false when it is a member there already, and when it cannot be one: the channel is destroyed, the
    ///   server has no clients, or it is this one and has no session of the user.
    @discardableResult
    public func add(_ uid: UserID, _ frontend: ServerID) -> Bool {
        guard !isDestroyed, let service, service.accepts(uid, frontend) else { return false }
        service.joined(self, uid, frontend)
        guard members[frontend, default: []].insert(uid).inserted else { return false }
        count += 1
        service.note(self, uid, frontend)
        return true
    }

    /// Removes a user at a frontend; false when it was no member there.
    @discardableResult
    public func leave(_ uid: UserID, _ frontend: ServerID) -> Bool {
        guard members[frontend]?.remove(uid) != nil else { return false }
        if members[frontend]?.isEmpty == true { members[frontend] = nil }
        count -= 1
        service?.left(self, uid, frontend)
        service?.note(self, uid, frontend)
        return true
    }

    /// Every member once, in order of its id.
    public func getMembers() -> [UserID] { Set(members.values.joined()).sorted() }

    /// The frontends where a user is a member.
    public func getMember(_ uid: UserID) -> [ServerID] { members.filter { $0.value.contains(uid) }.keys.sorted() }

    /// Ends the channel.
    public func destroy() {
        if !isDestroyed { service?.destroyChannel(name) }
    }

    /// Takes all members out for good, and returns them.
    func end() -> [ServerID: Set<UserID>] {
        defer { members = [:] }
        isDestroyed = true
        count = 0
        return members
    }

    /// Pushes to every member, but for some users.
    ///
    /// - Guarantee: at most once per session; one call per frontend, none to the own one.
    /// - Throws: `PomeloError` `.notRunning` when the channel is destroyed, `.encoding`.
    @discardableResult
    public func pushMessage<Message>(
        _ push: Push<Message>, _ message: Message, except: Set<UserID> = []
    ) async throws -> PushReport {
        guard !isDestroyed, let service else { throw PomeloError(.notRunning, "channel \(name) is destroyed") }
        let users = members.mapValues { except.isEmpty ? Array($0) : $0.filter { !except.contains($0) } }
        let report = await service.fanout.push(
            try PushMessage(push, message), to: except.isEmpty ? users : users.filter { !$0.value.isEmpty })
        for uid in report.noSession { service.ask(uid, getMember(uid)) }
        return report
    }
}
