// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloJSON
import PomeloLoop
import PomeloTesting

/// What clients know of who is in a room: by the answer to a request, and by what was pushed since it was sent.
struct List {
    var request: UInt32
    /// How many pushes had come when it was sent.
    var position: Int
}

extension ClusterSimulation.Client {
    func list(_ room: ChannelName, _ request: UInt32) {
        lists[room] = List(request: request, position: socket.pushes.count)
    }

    /// Whether the answer says that it may lack somebody.
    func isStale(_ list: List) -> Bool {
        guard let body = socket.answers[list.request]?.first, let answer = try? JSON.parse(body) else { return false }
        return answer["stale"]?.bool ?? false
    }

    /// The answer's users; nil when there is none, or another answer.
    func listed(_ list: List) throws -> [String]? {
        guard let body = socket.answers[list.request]?.first else { return nil }
        return try JSON.parse(body)["users"]?.array?.compactMap(\.string)
    }
}

/// Comings and goings, told to clients as a chat tells them, and looked at by clients as a page does.
extension ClusterSimulation {
    struct Word: Body {
        let room: ChannelName
        let uid: UserID
    }

    static let onAdd = Push<Word>("onAdd")
    static let onLeave = Push<Word>("onLeave")
    static let onGap = Push<JSON>("onGap")

    func tellPresence(_ app: Application) {
        let channels = app.globalChannel
        channels.onGone { gone in
            self.note("\(app.serverID) tells that \(gone.uids) are gone from \(gone.channel)")
            do {
                try await channels.tell("connector", Self.onLeave, gone) { Word(room: gone.channel, uid: $0) }
            } catch { self.fail("onLeave: \(error)") }
        }
        channels.onReturned { members in
            self.note("\(app.serverID) tells that \(members.uids) are back in \(members.channel)")
            for uid in members.uids {
                do {
                    _ = try await channels.pushMessage(
                        "connector", Self.onAdd, Word(room: members.channel, uid: uid), members.channel, except: [uid],
                        arrival: uid)
                } catch { self.fail("onAdd: \(error)") }
            }
        }
        channels.onGap { gap in
            self.note("\(app.serverID) missed something in \(gap.channels)")
            for channel in gap.channels {
                Loop.spawn {
                    do {
                        _ = try await channels.pushHere(Self.onGap, ["room": .string(channel.rawValue)], channel)
                    } catch { self.fail("onGap: \(error)") }
                }
            }
        }
    }

    /// As pages do: who was told of a gap asks again who is there, who was refused a list or got one that may lack
    /// somebody asks once more, and whose entrance failed enters again, for nobody may have been told of it.
    func listAgain() {
        for client in clients where !client.socket.isClosed && !paused.contains(client.frontend) {
            let rooms = gaps(of: client)
            for (room, list) in client.lists.sorted(by: { $0.key < $1.key }) {
                let isRefused = client.socket.answers[list.request] != nil && (try? client.listed(list)) == nil
                if isRefused, let body = client.socket.answers[list.request]?.first {
                    note("\(client.socket.remoteAddress) is refused \(room): \(String(decoding: body, as: UTF8.self))")
                }
                let isQuestion = client.questions.contains(list.request)
                if isRefused, !isQuestion {
                    guard client.socket.session?.uid != nil else { continue }
                    client.list(room, request(client, "chat.room.join", ["room": .string(room.rawValue)]))
                } else if isRefused || client.isStale(list) || rooms.contains(room) {
                    let id = request(client, "chat.room.list", ["room": .string(room.rawValue)])
                    client.list(room, id)
                    client.questions.insert(id)
                }
            }
        }
    }

    /// The client's rooms of which it was told since the last time that something may be missing.
    private func gaps(of client: Client) -> Set<ChannelName> {
        let pushes = client.socket.pushes[client.seen...]
        client.seen = client.socket.pushes.count
        var rooms: Set<ChannelName> = []
        for push in pushes where push.route.hasPrefix("on") && push.route != Self.say.route {
            note("\(client.socket.remoteAddress) hears \(push.route) \(push.text)")
            guard push.route == Self.onGap.route else { continue }
            rooms.formUnion(Self.rooms.filter { push.text.contains("\"\($0)\"") })
        }
        return rooms
    }

    /// In the end each list has exactly those who are in the room.
    func checkLists() {
        for client in clients where !client.socket.isClosed {
            guard let uid = client.socket.session?.uid else { continue }
            for (room, list) in client.lists.sorted(by: { $0.key < $1.key }) {
                let members = connectors.filter { isUp($0) }.flatMap { owned(room, at: $0) }.map(\.rawValue)
                guard owned(room, at: client.frontend).contains(uid) else { continue }
                do {
                    guard var names = try client.listed(list).map({ Set($0) }) else { continue }
                    for push in client.socket.pushes[list.position...] {
                        guard push.route == Self.onAdd.route || push.route == Self.onLeave.route else { continue }
                        let word = try JSON.parse(push.body)
                        guard word["room"]?.string == room.rawValue, let user = word["uid"]?.string else { continue }
                        if push.route == Self.onAdd.route { names.insert(user) } else { names.remove(user) }
                    }
                    names.insert(uid.rawValue)
                    names.subtract((lostWords[room] ?? []).subtracting(members))
                    if names != Set(members) {
                        fail("\(uid) at \(client.frontend) knows \(names.sorted()) in \(room), not \(members.sorted())")
                    }
                } catch { fail("a list cannot be read: \(error)") }
            }
        }
    }
}
