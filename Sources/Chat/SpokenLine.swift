// SPDX-License-Identifier: MIT
import Pomelo

/// Something a guest says, on its way; plugins see it as `{channel,from,body,meta,client_msg_id?}`.
struct SpokenLine {
    let guest: Guest
    /// Whom alone it is for; nil: for the room.
    var friend: Guest?
    var said: ChatAPI.Said
    private let id: JSON?

    init(_ guest: Guest, _ say: ChatAPI.Say, _ said: ChatAPI.Said) {
        self.guest = guest
        self.said = said
        let isShort = (say.client_msg_id?.encoded().count ?? 0) <= ChatAPI.Say.idLimit
        id = isShort ? say.client_msg_id : Optional.none
    }

    /// What keeps its order with it: what is said in the room, or between the two, whoever of them says it.
    var key: String {
        guard let friend else { return guest.room.rawValue }
        return [guest.uid, friend.uid].sorted().map(\.rawValue).joined(separator: " ")
    }

    /// As plugins see it, before and after it is sent.
    var data: JSON {
        var data: JSONObject = [
            "channel": .init(guest.room), "from": .string(guest.name), "body": said.msg,
            "meta": friend.map { ["to": .string($0.name)] } ?? [:],
        ]
        data["client_msg_id"] = id
        data["unmoderated"] = said.unmoderated.map { .bool($0) }
        return .object(data)
    }
}
