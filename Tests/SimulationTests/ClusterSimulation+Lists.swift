// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import PomeloWire

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
            do {
                try await channels.tell("connector", Self.onLeave, gone) { Word(room: gone.channel, uid: $0) }
            } catch { self.fail("onLeave: \(error)") }
        }
        channels.onReturned { members in
            for uid in members.uids {
                do {
                    _ = try await channels.pushMessage(
                        "connector", Self.onAdd, Word(room: members.channel, uid: uid), members.channel, except: [uid],
                        arrival: uid)
                } catch { self.fail("onAdd: \(error)") }
            }
        }
        channels.onGap { gap in
            for channel in gap.channels {
                Loop.spawn {
                    do {
                        _ = try await channels.pushHere(Self.onGap, ["room": .string(channel.rawValue)], channel)
                    } catch { self.fail("onGap: \(error)") }
                }
            }
        }
    }

    /// Clients that were told of a gap ask again who is there, and those whose question failed.
    func listAgain() {
        for client in clients where !client.socket.isClosed && !paused.contains(client.frontend) {
            let pushes = client.socket.pushes[client.seen...]
            client.seen = client.socket.pushes.count
            var rooms: Set<ChannelName> = []
            for push in pushes where push.route == Self.onGap.route {
                for room in Self.rooms where push.text.contains("\"\(room)\"") && client.lists[room] != nil {
                    rooms.insert(room)
                }
            }
            for (room, list) in client.lists where client.retries.contains(list.request) {
                if client.socket.answers[list.request] != nil, (try? client.listed(list)) == nil { rooms.insert(room) }
            }
            for room in rooms.sorted() {
                let id = request(client, "chat.room.list", ["room": .string(room.rawValue)])
                client.list(room, id)
                client.retries.insert(id)
            }
        }
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
                    if names != Set(members) {
                        fail("\(uid) at \(client.frontend) knows \(names.sorted()) in \(room), not \(members.sorted())")
                    }
                } catch { fail("a list cannot be read: \(error)") }
            }
        }
    }
}
