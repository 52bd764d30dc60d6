// SPDX-License-Identifier: MIT
public import PomeloBytes

/// What a call asks a server for: one of the framework's procedures by its number, or a remote by its route.
///
/// A number is never given to another procedure, also when its own is gone: servers of two versions live side by side,
/// and one that does not serve a procedure says so by `RPCError.unimplemented`.
///
/// ```
/// 1–63 PomeloCore | 64–95 PomeloGlobalChannel | 96–127 PomeloStatus | 128–159 PomeloCluster
/// from 32768 services of other packages
/// ```
public struct Procedure: Sendable, CustomStringConvertible {
    /// 0 for a remote.
    public let number: UInt16
    /// The route of a remote; else a word for people, which does not travel.
    public let name: Text
    /// The only start of the server that may answer; nil: any.
    public private(set) var instance: InstanceID?

    /// A procedure with a number of its own.
    ///
    /// - Precondition: the number is not 0.
    public init(_ number: UInt16, _ name: String) {
        precondition(number != 0, "0 is the number of remotes")
        self.number = number
        self.name = Text(name)
    }

    /// The remote of a route.
    public init(remote route: String) {
        number = 0
        name = Text(route)
    }

    /// What a peer asked for; a number needs no name.
    package init(number: UInt16, name: String, instance: String) {
        self.number = number
        self.name = Text(name)
        self.instance = instance.isEmpty ? nil : InstanceID(instance)
    }

    /// The same procedure of one start of the server; an empty one is any.
    ///
    /// Any other refuses with `PomeloError` `.replaced`.
    public func at(_ instance: InstanceID?) -> Procedure {
        var procedure = self
        procedure.instance = instance == "" ? nil : instance
        return procedure
    }

    /// The name, or the number of one that came without.
    public var description: String { name.string.isEmpty ? "procedure \(number)" : name.string.forLog }

    /// What a server lacks that does not serve it.
    var inWords: String {
        switch number {
        case 0: "remote \(self)"
        case 64..<96: "\(self): it does not use the plugin GlobalChannel"
        case 96..<128: "\(self): it does not use the plugin Status"
        default: description
        }
    }
}

/// The numbers of this room.
extension Procedure {
    static let forward = Procedure(1, "forward")
    static let sessionBind = Procedure(2, "session.bind")
    static let sessionUnbind = Procedure(3, "session.unbind")
    static let sessionPush = Procedure(4, "session.push")
    static let sessionKick = Procedure(5, "session.kick")
    static let sessionKickByUid = Procedure(6, "session.kickByUid")
    static let sessionGet = Procedure(7, "session.get")
    static let sessionGetByUid = Procedure(8, "session.getByUid")
    static let sessionWatch = Procedure(9, "session.watch")
    static let channelEnded = Procedure(10, "channel.ended")
    static let channelPush = Procedure(11, "channel.push")
    static let channelBroadcast = Procedure(12, "channel.broadcast")
    static let adminRequest = Procedure(13, "admin.request")
    static let adminNotify = Procedure(14, "admin.notify")
}
