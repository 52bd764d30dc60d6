// SPDX-License-Identifier: MIT
public import PomeloLoop
import PomeloWire

/// Channels of this process: groups of users at frontends, known here only.
///
/// - Source: pomelo 2.2.7, lib/common/service/channelService.js; adding twice does not deliver twice.
@Loop public final class ChannelService {
    private var channels: [ChannelName: Channel] = [:]
    let fanout: Fanout

    init(_ fanout: Fanout) { self.fanout = fanout }

    /// The channel of this name, made when there is none.
    public func createChannel(_ name: ChannelName) -> Channel {
        if let known = channels[name] { return known }
        let channel = Channel(name, self)
        channels[name] = channel
        return channel
    }

    /// The channel of this name, or nil.
    public func getChannel(_ name: ChannelName) -> Channel? { channels[name] }

    /// Ends a channel; its object refuses further use.
    public func destroyChannel(_ name: ChannelName) { channels.removeValue(forKey: name)?.isDestroyed = true }

    /// Pushes to users whose frontends are known.
    public func pushMessageByUids<Message>(
        _ push: Push<Message>, _ message: Message, _ users: [(uid: UserID, frontend: ServerID)]
    ) async throws -> PushReport {
        // Each once: a user named twice has still one message.
        let grouped = Dictionary(grouping: users, by: \.frontend).mapValues { Set($0.map(\.uid)).sorted() }
        return await fanout.push(try PushMessage(push, message), to: grouped)
    }
}

/// A group of users of this process's making.
@Loop public final class Channel {
    /// Unique among the channels of this process that are not destroyed.
    public let name: ChannelName
    /// Set when the channel was destroyed; then `add` returns false and pushes throw.
    public internal(set) var isDestroyed = false
    private var members: [ServerID: Set<UserID>] = [:]
    private let service: ChannelService

    init(_ name: ChannelName, _ service: ChannelService) {
        self.name = name
        self.service = service
    }

    /// Adds a user at a frontend; false when it was a member there already, or the channel is destroyed.
    @discardableResult
    public func add(_ uid: UserID, _ frontend: ServerID) -> Bool {
        isDestroyed ? false : members[frontend, default: []].insert(uid).inserted
    }

    /// Removes a user at a frontend; false when it was no member there.
    @discardableResult
    public func leave(_ uid: UserID, _ frontend: ServerID) -> Bool {
        guard members[frontend]?.remove(uid) != nil else { return false }
        if members[frontend]?.isEmpty == true { members[frontend] = nil }
        return true
    }

    /// Every member once, in order of its id.
    public func getMembers() -> [UserID] { Set(members.values.joined()).sorted() }

    /// The frontends where a user is a member.
    public func getMember(_ uid: UserID) -> [ServerID] { members.filter { $0.value.contains(uid) }.keys.sorted() }

    /// Ends the channel.
    public func destroy() { service.destroyChannel(name) }

    /// Pushes to every member.
    ///
    /// - Throws: `PomeloError` `.notRunning` when the channel is destroyed, `.encoding`.
    public func pushMessage<Message>(_ push: Push<Message>, _ message: Message) async throws -> PushReport {
        guard !isDestroyed else { throw PomeloError(.notRunning, "channel \(name) is destroyed") }
        return await service.fanout.push(try PushMessage(push, message), to: members.mapValues(Array.init))
    }
}
