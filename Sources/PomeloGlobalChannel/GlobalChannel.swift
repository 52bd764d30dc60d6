// SPDX-License-Identifier: MIT
//
// PomeloGlobalChannel: channels whose members are connected to different servers.
// Reading order: GlobalChannel, GlobalChannelService, +Members, +Pushes, ChannelProcedures, OwnedChannels,
// OwnedChannel, MemberRoll. Who comes and goes: GlobalChannelService+Presence, +Lost, GoneWords, PresenceLog,
// Departures, PresenceQuestions; Gaps. The published copy: ChannelStore, MemoryChannelStore, RedisChannelStore,
// +CleanUp, Scripts/*.lua, ChannelPublisher, ChannelBacklog.
import Logging
public import PomeloCore
import PomeloLoop
import PomeloPublication
public import PomeloRedis

/// The plugin: gives an application its `globalChannel`.
public struct GlobalChannel: Plugin {
    /// How the plugin works; `globalChannel.json` has the same keys.
    public struct Options: Sendable {
        /// Of the Redis keys; clusters that share one Redis need different ones.
        public var prefix = "POMELO:CHANNEL"
        /// Removes this server's own published members before it starts; leases make it unnecessary.
        public var cleanOnStartUp = false
        /// An `add` before the user's `bind` waits this long for it; zero refuses it.
        public var pending = Duration.zero
        /// The server type that hears of users who are gone; nil: the frontend they left, or the server that cleans up.
        public var goneServerType: ServerType?

        /// The defaults written at each property.
        public init() {}
    }

    /// `globalChannel`.
    public let name = "globalChannel"
    private let options: Options
    /// Made when the options are known.
    private let makeStore: @Loop (Options) -> any ChannelStore

    /// Publishes memberships in Redis; what `globalChannel.json` says stands above the options given here.
    public init(redis: any RedisPort, options: Options = Options()) {
        makeStore = { RedisChannelStore(redis: redis, prefix: $0.prefix) }
        self.options = options
    }

    /// Publishes memberships in a store of the application's own.
    public init(store: any ChannelStore, options: Options = Options()) {
        makeStore = { _ in store }
        self.options = options
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when `globalChannel.json` is wrong, the prefix holds a brace, or the
    ///   store needs a cluster membership and there is none.
    public func install(into application: Application, _: inout PluginOptions) throws {
        let options = try application.options(options)
        if let type = options.goneServerType, !application.serverTypes.contains(type) {
            application.log.warning(
                "goneServerType names a type that no server has",
                metadata: ["pomelo.type": "\(type)", "pomelo.types": "\(application.serverTypes.map(\.rawValue))"])
        }
        let store = makeStore(options)
        try store.check(options.prefix, for: name, application.membership)
        let service = GlobalChannelService(application.context, store, options)
        application.setService(service)
        try application.load(service)
    }
}

extension GlobalChannel.Options: FileOptions {
    /// `globalChannel.json`.
    public static var fileName: String { "globalChannel" }

    /// Reads `prefix`, `cleanOnStartUp`, `pendingSeconds` and `goneServerType`.
    public mutating func read(_ reader: inout OptionReader) throws {
        prefix = try reader.string("prefix") ?? prefix
        cleanOnStartUp = try reader.bool("cleanOnStartUp") ?? cleanOnStartUp
        pending = try reader.seconds("pendingSeconds", orZero: true) ?? pending
        goneServerType = try reader.string("goneServerType").map { ServerType($0) } ?? goneServerType
    }
}

extension Application {
    /// The cluster-wide channels.
    ///
    /// - Precondition: the `GlobalChannel` plugin is in use.
    public var globalChannel: GlobalChannelService {
        guard let service = service(GlobalChannelService.self) else {
            preconditionFailure("app.use(GlobalChannel(…)) is missing")
        }
        return service
    }
}
