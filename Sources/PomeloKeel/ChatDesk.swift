// SPDX-License-Identifier: MIT
#if Keel
    import PomeloCore
    import PomeloGlobalChannel
    import PomeloJSON
    import PomeloLoop
    import PomeloPlugins
    import PomeloStatus

    /// What plugins may ask of the cluster, by the services that the application has when the plugin is used.
    @Loop final class ChatDesk: PluginClusterDesk {
        private let knownStatus: StatusService?
        private let knownChannels: GlobalChannelService?
        private let sessions: BackendSessionService
        private let servers: ServerDirectory

        init(_ application: Application) {
            knownStatus = application.service(StatusService.self)
            knownChannels = application.service(GlobalChannelService.self)
            sessions = application.backendSessionService
            servers = application.servers
        }

        func push(_ route: String, _ message: JSON, to users: [UserID]) async throws -> Int {
            try await status.pushByUids(users, Push<JSON>(route), message).queued
        }

        func push(_ route: String, _ message: JSON, to channel: ChannelName) async throws -> Int {
            let (channels, type) = try channelService
            let report = try await channels.pushMessage(type, Push<JSON>(route), message, channel)
            guard report.failed.isEmpty, !report.isIncomplete else {
                throw PomeloError(.unreachable, "the push did not reach every frontend")
            }
            return report.queued
        }

        func kick(_ user: UserID, reason: String) async throws -> Int {
            var kicked = 0
            for frontend in try await status.getSidsByUid(user) {
                kicked += try await sessions.kick(frontend, byUid: user, reason: reason)
            }
            return kicked
        }

        func sessions(of user: UserID) async throws -> [ServerID] { try await status.getSidsByUid(user) }

        func members(of channel: ChannelName) async throws -> [UserID] {
            let (channels, type) = try channelService
            let members = await channels.getMembersByChannelName(type, channel)
            guard members.failed.isEmpty, !members.isIncomplete else {
                throw PomeloError(.unreachable, "not every frontend has said who is in \(channel)")
            }
            return members.uids
        }

        private var status: StatusService {
            get throws {
                guard let status = knownStatus else {
                    throw PomeloError(.configuration, "this server does not use the plugin Status before Keel")
                }
                return status
            }
        }

        private var channelService: (GlobalChannelService, ServerType) {
            get throws {
                guard let channels = knownChannels, let type = servers.frontends.first?.type else {
                    throw PomeloError(.configuration, "this server does not use the plugin GlobalChannel before Keel")
                }
                return (channels, type)
            }
        }
    }
#endif
