// SPDX-License-Identifier: MIT
//
// PomeloKeel: the HTTP rim of PomeloPlugins: a server for plugins and their callers, calls of plugins, tokens.
// Reading order: Keel, KeelHost, ChatDesk; KeelDesk (the seam), KeelServer with ServerShare, KeelConnection, Exchange,
// RequestCheck, RequestTarget, AnswerHead, Forwarding; KeelCaller with UpstreamPool, UpstreamCall,
// StatusGuard; KeelThread; KeelTokens, TokenText.
#if Keel
    import Foundation
    import PomeloCluster
    public import PomeloCore
    import PomeloExtensions
    import PomeloJSON
    import PomeloLoop
    public import PomeloPlugins
    public import PomeloRedis

    /// The plugin: services in other processes and languages, reached over HTTP, take part in the cluster.
    ///
    /// ```swift
    /// try app.use(Cluster(redis))
    /// try app.use(Extensions())
    /// try app.use(Keel(redis))       // behind Status and GlobalChannel, if plugins are to ask them
    /// ```
    ///
    /// A plugin takes part in what a server does that uses this: users are bound at frontends, so that `before-bind` is
    /// asked there. Those need not listen, and those that do not leave probes and deliveries to the others.
    ///
    /// The server listens on loopback, at the port that `keelPort` of its entry in `servers.json` says, else at
    /// `DAPR_HTTP_PORT`, else at 3500; without a `bootstrap` secret in `keel.json` it admits no plugin.
    ///
    /// - Source: tKeel's plugin platform, github.com/tkeel-io/tkeel; the paths are those of dapr's sidecar.
    public struct Keel: Plugin {
        /// `keel`.
        public let name = "keel"
        private let redis: RedisClient
        private let options: KeelOptions
        private let listens: Bool

        /// What `keel.json` says stands above the options given here; a cluster secret of one's own is set before.
        public init(_ redis: RedisClient, options: KeelOptions = KeelOptions(), listens: Bool = true) {
            self.redis = redis
            self.options = options
            self.listens = listens
        }

        /// Makes the host and loads it as components.
        ///
        /// - Throws: `PomeloError` `.configuration` when `keel.json` is wrong, or the plugin `Cluster` is not used.
        public func install(into application: Application, _: inout PluginOptions) throws {
            let options = try application.options(options)
            let caller = KeelCaller()
            let host = try PluginHost(
                application.context, options, redis: redis, messages: redis, caller: caller, tokens: KeelTokens(),
                election: try application.election("plugins"), extensions: application.extensions,
                cluster: ChatDesk(application), secret: application.secret, isCandidate: listens)
            try application.load(host)
            let address = listens ? (options.host, try Self.port(application)) : nil
            try application.load(KeelHost(host, caller, address, application.log))
            if listens { try application.registerAdmin(PluginModule(host)) }
        }

        private static func port(_ application: Application) throws -> Int {
            let own = application.record.metadata["keelPort"]
            let text = ProcessInfo.processInfo.environment["DAPR_HTTP_PORT"].map { JSON.string($0) }
            guard let given = own ?? text else { return 3500 }
            let number = given.int ?? given.string.flatMap { Int64($0) }
            guard let port = number.flatMap({ Int(exactly: $0) }), (0...65535).contains(port) else {
                throw PomeloError(.configuration, "\(own == nil ? "DAPR_HTTP_PORT" : "keelPort") is no port: \(given)")
            }
            return port
        }
    }
#endif
