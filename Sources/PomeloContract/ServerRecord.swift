// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON

/// One server of `servers.json`: pomelo's fields, and the application's own keys beside them.
///
/// - Source: pomelo 2.2.7, template config/servers.json and lib/util/utils.js; `frontend` and the restart keys are
///   booleans or the texts "true" and "false".
public struct ServerRecord: Sendable, Equatable {
    /// Unique in the cluster.
    public var id: ServerID
    /// What kind of server it is; the key that groups it in `servers.json`.
    public var type: ServerType
    /// Where other servers reach this one.
    public var host: String
    /// The RPC port; 0 for a frontend that names none: one that is free, which the registry then tells.
    public var port: Int
    /// Where clients reach this one; `host` when absent.
    public var clientHost: String?
    /// The ports of a frontend's connectors; key `clients`, or `clientPort` where there is one.
    public var clients: [ClientEntry] = []
    /// Whether clients connect to it; key `frontend`.
    public var isFrontend: Bool
    /// The address the client port listens on; `host` when absent.
    public var bind: String?
    /// Client connections at once, counted from accept; key `max-connections`.
    ///
    /// Who comes beyond it waits in the kernel until there is room.
    public var maxConnections: Int?
    /// A share of the work, for routing rules that weigh; 1 when absent.
    public var weight: Int?
    /// How a launcher starts this server.
    public var launch = LaunchOptions()
    /// Keys the framework does not know, as they were.
    public var metadata: JSONObject

    /// One connector's port.
    public struct ClientEntry: Sendable, Equatable {
        /// The connector's type, `hybrid` for instance; nil where there is only one.
        public var type: String?
        /// Where its clients reach it; the server's when absent.
        public var host: String?
        /// Where it listens; connectors that can may share one.
        public var port: Int
        /// Whether clients must speak TLS there; nil where nothing is said, which is no.
        public var tls: Bool?

        /// Whether the port is one of UDP, as connectors of the type `udp` have it.
        package var isDatagrams: Bool { type.map { Text($0) } == "udp" }

        /// Puts the parts together.
        public init(type: String? = nil, host: String? = nil, port: Int, tls: Bool? = nil) {
            self.type = type
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    /// The port of the first connector.
    public var clientPort: Int? {
        get { clients.first?.port }
        set {
            guard let newValue else { return clients = [] }
            if clients.isEmpty { clients = [ClientEntry(port: newValue)] } else { clients[0].port = newValue }
        }
    }

    /// Where clients of a type of connector reach the server, and whether they must speak TLS there; nil when it has
    /// none of it.
    ///
    /// Without a type it is where those of the first connector do, and a port whose type is not told serves any.
    public func clientAddress(for type: String? = nil) -> (host: String, port: Int, tls: Bool)? {
        let type = type.map { Text($0) }
        let entry = clients.first { type == nil || $0.type == nil || $0.type.map { Text($0) } == type }
        return entry.map { ($0.host ?? clientHost ?? host, $0.port, $0.tls ?? false) }
    }

    /// What a launcher needs to know of a server.
    public struct LaunchOptions: Sendable, Equatable {
        /// Arguments for the process, before its own; key `args`, a text or a list of texts.
        public var arguments: [String] = []
        /// The processor to pin it to; key `cpu`.
        public var cpu: Int?
        /// Whether it is started again when it is gone; key `auto-restart`.
        public var restarts = false
        /// The same, and whether what its last process has left running, and may hold its port, is killed before; key
        /// `restart-force`.
        public var restartsByForce = false

        /// No arguments, no processor, no restart.
        public init() {}
    }

    /// Whether it serves other servers only; the master is neither this nor a frontend.
    public var isBackend: Bool { !isFrontend && type != .master }

    /// A record made by hand; the host is the local one unless told otherwise.
    public init(
        id: ServerID, type: ServerType, host: String = "127.0.0.1", port: Int, clientHost: String? = nil,
        clientPort: Int? = nil, isFrontend: Bool = false, bind: String? = nil, maxConnections: Int? = nil,
        metadata: JSONObject = JSONObject()
    ) {
        self.id = id
        self.type = type
        self.host = host
        self.port = port
        self.clientHost = clientHost
        clients = clientPort.map { [ClientEntry(port: $0)] } ?? []
        self.isFrontend = isFrontend
        self.bind = bind
        self.maxConnections = maxConnections
        self.metadata = metadata
    }
}

/// How far a server is in its life.
public enum ServerState: String, Sendable, Codable {
    /// In the registry, its RPC port is open, nothing is routed to it.
    case joining
    /// Serving.
    case up
    /// Finishing: it gets no new work.
    case draining
}

/// A server as the cluster's view lists it.
public struct ServerInfo: Sendable, Equatable {
    /// What the server says of itself.
    public var record: ServerRecord
    /// Which start of the server this is.
    public var instance: InstanceID
    /// How far that start is in its life.
    public var state: ServerState
    /// The services that publish state for it, sorted: who cleans up after it must know them all; nil when nobody says.
    public var services: [String]?

    /// The record's id.
    public var id: ServerID { record.id }
    /// The record's type.
    public var type: ServerType { record.type }

    /// Puts record, instance and state together.
    public init(record: ServerRecord, instance: InstanceID, state: ServerState, services: [String]? = nil) {
        self.record = record
        self.instance = instance
        self.state = state
        self.services = services
    }

    /// Whether it has a service, as far as is known.
    public func mayServe(_ service: String) -> Bool { services?.contains(service) ?? true }
}
