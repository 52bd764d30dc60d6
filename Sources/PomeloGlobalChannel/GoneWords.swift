// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

/// The words that users are gone from a channel, as they travel to one frontend.
///
/// ```
/// channel text | route text | fence: instance text, tick u64
/// ended at: server text, instance text | count u32 | for each: uid text, ending, body data
/// ```
struct GoneWords {
    let channel: ChannelName
    let route: String
    let fences: [ServerID: Fence]
    let endings: [UserID: Ending]
    var bodies: [(uid: UserID, body: Bytes)] = []

    init(_ gone: GoneMembers, route: String) {
        channel = gone.channel
        self.route = route
        fences = gone.fences
        endings = gone.endings
    }

    /// Reads the form for the frontend `own`, whose fence is then the only one.
    init(_ payload: Bytes, at own: ServerID) throws(PomeloError) {
        var reader = PayloadReader(payload)
        channel = ChannelName(try reader.text())
        route = try reader.text()
        fences = [own: Fence(instance: InstanceID(try reader.text()), tick: try reader.number())]
        let (server, instance) = (ServerID(try reader.text()), InstanceID(try reader.text()))
        var endings: [UserID: Ending] = [:]
        for _ in 0..<(try reader.count()) {
            let uid = UserID(try reader.text())
            endings[uid] = try reader.ending(server, instance)
            bodies.append((uid, try reader.data()))
        }
        self.endings = endings
    }

    func payload(for frontend: ServerID) -> Bytes {
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        payload.text(route)
        payload.text(fences[frontend]?.instance.rawValue ?? "")
        payload.number(fences[frontend]?.tick ?? 0)
        let place = endings.values.first
        payload.text(place?.server.rawValue ?? "")
        payload.text(place?.instance.rawValue ?? "")
        payload.count(bodies.count)
        for (uid, body) in bodies {
            payload.text(uid.rawValue)
            payload.ending(endings[uid])
            payload.data(body)
        }
        return payload.bytes
    }
}
