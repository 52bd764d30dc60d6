// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// A cluster under random sessions, memberships and faults: once it is quiet, members are exactly those that live.
@Suite struct AutomaticLeaveSimulation {
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    @Loop func noMemberStaysWithoutASessionAndNoneWithOneIsLost(_ seed: UInt64) async throws {
        let run = try await Run(seed)
        for _ in 0..<150 { try await run.step() }
        try await run.calm()
        #expect(run.ghosts() == [], "members without a session")
        #expect(run.lost() == [], "members whose session never ended")
        #expect(run.world.cluster.network.violations == [])
    }

    @Loop private final class Run {
        struct Membership: Hashable {
            let host: ServerID
            let room: ChannelName
            let uid: UserID
            let frontend: ServerID
        }

        static let frontends = ["connector-1", "connector-2"] as [ServerID]
        static let hosts = ["chat-1", "chat-2", "connector-1"] as [ServerID]
        static let rooms = ["a", "b"] as [ChannelName]

        let world: ChannelWorld
        private let random: RandomSource
        private var sockets: [(socket: TestSocket, uid: UserID, frontend: ServerID)] = []
        /// Added while the user had a session that has not ended since.
        private var certain: Set<Membership> = []

        init(_ seed: UInt64) async throws {
            world = try await ChannelWorld(chats: 2, seed: seed)
            random = RandomSource(seed: seed)
            world.cluster.network.delay = .zero ... .milliseconds(50)
        }

        private func one<Value>(of values: [Value]) -> Value { values[Int(random.next() % UInt64(values.count))] }

        func step() async throws {
            let network = world.cluster.network
            switch random.next() % 20 {
            case 0...4: try await comes()
            case 5...6: goes()
            case 7...9: try await comesBack()
            case 10...13: adds()
            case 14: leaves()
            case 15: try await pushes()
            case 16: network.partition(one(of: Self.frontends), one(of: Self.hosts))
            case 17: network.lossPerMille = one(of: [0, 0, 300])
            case 18: random.next() % 2 == 0 ? network.freeze(one(of: Self.hosts)) : network.healAll()
            default: try await restarts()
            }
            await world.cluster.advance(by: .milliseconds(Int64(random.next() % 400)), step: .milliseconds(50))
        }

        private func comes() async throws {
            let (uid, frontend) = (UserID("u\(random.next() % 5)"), one(of: Self.frontends))
            sockets.append((try await world.user(uid, frontend), uid, frontend))
        }

        private func goes() {
            guard !sockets.isEmpty else { return }
            let (socket, uid, frontend) = sockets.remove(at: Int(random.next() % UInt64(sockets.count)))
            socket.disconnect()
            if !hasSession(uid, frontend) { certain = certain.filter { $0.uid != uid || $0.frontend != frontend } }
        }

        /// A member's session ends, and another one of the user is a member again before anybody heard of the end.
        private func comesBack() async throws {
            guard let member = certain.min(by: { "\($0)" < "\($1)" }) else { return }
            for (socket, uid, frontend) in sockets where uid == member.uid && frontend == member.frontend {
                socket.disconnect()
            }
            sockets.removeAll { $0.uid == member.uid && $0.frontend == member.frontend }
            certain = certain.filter { $0.uid != member.uid || $0.frontend != member.frontend }
            await world.cluster.settle()
            sockets.append((try await world.user(member.uid, member.frontend), member.uid, member.frontend))
            add(member)
        }

        private func adds() {
            add(
                Membership(
                    host: one(of: Self.hosts), room: one(of: Self.rooms), uid: UserID("u\(random.next() % 5)"),
                    frontend: one(of: Self.frontends)))
        }

        private func add(_ member: Membership) {
            world[member.host].channelService.createChannel(member.room).add(member.uid, member.frontend)
            if hasSession(member.uid, member.frontend) { certain.insert(member) }
        }

        private func leaves() {
            guard let member = certain.min(by: { "\($0)" < "\($1)" }) else { return }
            world[member.host].channelService.getChannel(member.room)?.leave(member.uid, member.frontend)
            certain.remove(member)
        }

        private func pushes() async throws {
            let host = one(of: Self.hosts)
            guard let channel = world[host].channelService.getChannel(one(of: Self.rooms)) else { return }
            Loop.spawn { _ = await failureCode { _ = try await channel.pushMessage(ChannelWorld.hello, "hi") } }
        }

        /// A server crashes and starts again, after its lease or within it.
        private func restarts() async throws {
            let server = one(of: Self.frontends + Self.hosts)
            world.cluster.crash(server)
            sockets.removeAll { $0.frontend == server }
            certain = certain.filter { $0.host != server && $0.frontend != server }
            if random.next() % 2 == 0 { try await world.cluster.endLease(of: server) }
            try await world.cluster.start(server)
        }

        func calm() async throws {
            world.cluster.network.healAll()
            await world.cluster.advance(by: .seconds(30), step: .milliseconds(250))
        }

        private func hasSession(_ uid: UserID, _ frontend: ServerID) -> Bool {
            !world[frontend].sessionService.get(byUid: uid).isEmpty
        }

        private func members() -> Set<Membership> {
            var members: Set<Membership> = []
            for host in Self.hosts {
                for room in Self.rooms {
                    guard let channel = world[host].channelService.getChannel(room) else { continue }
                    for uid in channel.getMembers() {
                        for frontend in channel.getMember(uid) {
                            members.insert(Membership(host: host, room: room, uid: uid, frontend: frontend))
                        }
                    }
                }
            }
            return members
        }

        func ghosts() -> [Membership] { members().filter { !hasSession($0.uid, $0.frontend) } }
        func lost() -> [Membership] { Array(certain.subtracting(members())) }
    }
}
