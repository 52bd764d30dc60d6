// SPDX-License-Identifier: MIT
import PomeloBytes

/// The cluster's own points; their owner is `chat`.
///
/// | point | data | key |
/// |---|---|---|
/// | `before-send-callback` | `{channel,from,body,meta,client_msg_id?}` | the channel |
/// | `after-send-callback` | the same, as it was sent | the channel |
/// | `bind_session`, `unbind_session` | `{sid,uid,frontend}` | the session |
/// | `close_session` | `{sid,uid,frontend,reason}` | the session |
/// | `before-bind` | `{sid,uid,frontend,address}` | the user |
/// | `before-join`, `after-join` | `{channel,uid,frontend}` | the channel |
/// | `after-leave` | `{channel,uid}` | the channel |
/// | `add_servers`, `replace_servers` | `{epoch,servers,ids}` | the server that tells it |
/// | `remove_servers` | the same, `ids` being who is gone | the server that tells it |
/// | `start_all`, `drain` | `{}` | the server that tells it |
/// | `leader_changed` | `{leader}` | the server that tells it |
/// | `route` | `{type,sid,uid,frontend,servers}`; answered with `{server}` | type and user |
///
/// `servers` is the whole view at that moment, so that the last event of a kind says all, and `epoch` counts its
/// changes at the server that tells it.
extension ExtensionPoint {
    /// Before a message is sent; the answer's `body` is sent in its place.
    public static let beforeSend = asked("before-send-callback", .milliseconds(150))
    /// A message was sent.
    public static let afterSend = told("after-send-callback")
    /// A session was bound to its user.
    public static let bindSession = told("bind_session")
    /// A session lost its user.
    public static let unbindSession = told("unbind_session")
    /// A session ended.
    public static let closeSession = told("close_session")
    /// Before a user is bound to a session: whoever it is, and wherever the call comes from.
    public static let beforeBind = asked("before-bind", .milliseconds(300), .closed)
    /// Before a user becomes a member of a channel.
    public static let beforeJoin = asked("before-join", .milliseconds(150))
    /// A user has become a member of a channel.
    public static let afterJoin = told("after-join")
    /// A user's last membership of a channel has ended.
    public static let afterLeave = told("after-leave")
    /// Servers came.
    public static let addServers = told("add_servers", isCoalesced: true)
    /// Servers are gone.
    public static let removeServers = told("remove_servers", isCoalesced: true)
    /// The view was taken whole.
    public static let replaceServers = told("replace_servers", isCoalesced: true)
    /// Every configured server is up.
    public static let startAll = told("start_all", isCoalesced: true)
    /// Another server has the office of the leader.
    public static let leaderChanged = told("leader_changed", isCoalesced: true)
    /// The server that tells it is about to stop.
    public static let drain = told("drain", isCoalesced: true)
    /// Chooses the server that serves a session.
    public static let route = ExtensionPoint(
        owner: cluster, name: "route", mode: .single, budget: .milliseconds(20), keeps: .seconds(1))

    /// All of them.
    public static let all = [
        beforeSend, afterSend, bindSession, unbindSession, closeSession, beforeBind, beforeJoin, afterJoin, afterLeave,
        addServers, removeServers, replaceServers, startAll, leaderChanged, drain, route,
    ]

    private static var cluster: Text { "chat" }

    private static func asked(
        _ name: PointName, _ budget: Duration, _ onFailure: FailurePolicy = .open
    ) -> ExtensionPoint {
        ExtensionPoint(owner: cluster, name: name, mode: .chain, budget: budget, onFailure: onFailure)
    }

    private static func told(_ name: PointName, isCoalesced: Bool = false) -> ExtensionPoint {
        ExtensionPoint(
            owner: cluster, name: name, mode: .fanout, budget: .seconds(5), isCoalesced: isCoalesced)
    }
}
