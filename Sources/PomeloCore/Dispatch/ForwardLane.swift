// SPDX-License-Identifier: MIT
import PomeloLoop

/// Where the requests of one session for one type of server go, and how many are under way there.
///
/// A message must not overtake the one before it because a server has come, or another is back: while requests are
/// under way, the session stays with their server for as long as that is one of the choices. What the session itself
/// changes, its user or settings, counts at once.
@Loop final class ForwardLane {
    let type: ServerType
    fileprivate(set) var server: ServerID
    /// Among which the server was chosen.
    fileprivate var choices: [ServerInfo]
    private(set) var inFlight = 0

    init(_ type: ServerType, _ server: ServerID, _ choices: [ServerInfo]) {
        self.type = type
        self.server = server
        self.choices = choices
    }

    func begin() { inFlight += 1 }
    func end() { inFlight -= 1 }
}

extension Router {
    /// The lane of a session's next request.
    ///
    /// - Throws: as `pick(_:for:)`.
    func lane(_ type: ServerType, for session: Session, of client: ClientSession) throws -> ForwardLane {
        let choices = try choices(type)
        let server = try pick(type, for: session, among: choices)
        guard let index = client.lane(type) else {
            let lane = ForwardLane(type, server, choices)
            client.lanes.append(lane)
            return lane
        }
        let lane = client.lanes[index]
        if lane.inFlight == 0 || server == lane.server {
            lane.server = server
            lane.choices = choices
            return lane
        }
        if choices.contains(where: { $0.id == lane.server }), isStillChosen(lane, for: session) { return lane }
        let next = ForwardLane(type, server, choices)
        client.lanes[index] = next
        return next
    }

    /// Whether it is only the choices that make another server come out.
    private func isStillChosen(_ lane: ForwardLane, for session: Session) -> Bool {
        do { return try pick(lane.type, for: session, among: lane.choices) == lane.server } catch { return false }
    }
}

extension ClientSession {
    /// Where the lane of a type is; most sessions have one or two.
    fileprivate func lane(_ type: ServerType) -> Int? {
        for index in lanes.indices where lanes[index].type == type { return index }
        return nil
    }
}
