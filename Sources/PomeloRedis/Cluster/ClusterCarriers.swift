// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// The links of a cluster: one to any node for plain channels, which every node has, and for channels of shards one to
/// each primary that has some of their slots.
@Loop final class ClusterCarriers: MessageCarriers {
    /// Called when channels of shards may be at other nodes than before.
    var onChange: (@Loop () -> Void)?

    private let port: RedisClusterPort
    private let plain: MessageLink
    private let make: @Loop (SocketAddress) -> RedisConnection
    private var shards: [SocketAddress: MessageLink] = [:]

    init(
        _ port: RedisClusterPort, plain: RedisConnection, make: @escaping @Loop (SocketAddress) -> RedisConnection
    ) {
        self.port = port
        self.plain = MessageLink(plain)
        self.make = make
        port.onNodesChange = { [weak self] in self?.nodesHaveChanged() }
    }

    var links: [MessageLink] { [plain] + shards.values }

    func link(for channel: ChannelID) async throws(RedisError) -> MessageLink {
        guard channel.isSharded else { return plain }
        guard let place = port.place(of: KeySlot(of: channel.name.string)) else {
            throw .connection("redis: the slot of channel \(channel.name) is at no node")
        }
        if let link = shards[place] { return link }
        if !port.isKnown(place) {
            if strangers.count >= SlotMap.maxStrangers { channelsHaveMoved() }
            guard strangers.count < SlotMap.maxStrangers else {
                throw .connection("redis: channels were sent to too many nodes that no other knows")
            }
        }
        let link = MessageLink(make(place))
        shards[place] = link
        return link
    }

    func wasWrong(about channel: ChannelID, _ error: RedisError?) -> Bool {
        guard case .reply(let text)? = error, case .moved(let slot, let place)? = Redirection(text) else {
            port.markStale()
            return false
        }
        // The node that says so names its own host seldom; then the map says where it is.
        guard !place.host.isEmpty else {
            port.markStale()
            return false
        }
        port.moved(slot, to: place)
        return true
    }

    private var strangers: [SocketAddress] { shards.keys.filter { !port.isKnown($0) } }

    private func nodesHaveChanged() {
        guard !shards.isEmpty else { return }
        onChange?()
        channelsHaveMoved()
    }

    /// Links to nodes that have no slots any more are ended when their channels are elsewhere.
    func channelsHaveMoved() {
        for (place, link) in shards where !port.isKnown(place) && link.channels.isEmpty {
            shards[place] = nil
            Loop.spawn { await link.stop() }
        }
    }

    func stop() async {
        for link in links { await link.stop() }
    }
}
