// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloSync
import TestHelpers
import Testing

@testable import SyncServer

/// What sync has acknowledged, through everything that breaks around it; told and counted outside of its processes.
///
/// `POMELO_CAMPAIGN_MINUTES` makes each of them so long, with faults by chance and 50 000 updates a second.
@Suite(.serialized) struct SyncCampaignTests {
    typealias Steps = [(SyncCampaign.ServerFault?, SyncCampaign.OtherFault?)]

    private static let minutes = ProcessInfo.processInfo.environment["POMELO_CAMPAIGN_MINUTES"].flatMap(Double.init)

    @Test @Loop func aFileOfSQLite() async throws {
        try await Self.play(.sqlite, .everyBatch, [(.kill, .sinkFails), (.freeze, .redisStands)])
    }

    @Test @Loop func redis() async throws {
        try await Self.play(.redis, .always, [(.freeze, .sinkFails), (nil, .allDie)])
    }

    /// Journals lie on one node each, and the list of them on a third.
    @Test @Loop func journalsOnACluster() async throws {
        try await Self.play(
            .sqlite, .everyBatch, on: .cluster, [(.kill, .redisStands), (.freeze, nil), (nil, .redisDies)])
    }

    #if Postgres
        @Test(.enabled("PostgreSQL is not installed", { await PostgresServer.isInstalled() }))
        @Loop func postgres() async throws {
            try await Self.play(.postgres, .everyBatch, [(.killBoth, .sinkFails), (nil, .redisDies)])
        }
    #endif

    @Loop private static func play(
        _ kind: SinkOptions.Kind, _ policy: SyncPolicy, on layout: RedisLayout = .standalone, _ steps: Steps
    ) async throws {
        let campaign = try await SyncCampaign.start(
            kind, policy, on: layout, ids: minutes == nil ? 2000 : 10_000, perSecond: minutes == nil ? 5000 : 50_000,
            seed: UInt64.random(in: 0 ..< .max))
        do {
            let clock = SystemClock.shared
            if let minutes {
                let end = clock.deadline(after: .seconds(60) * minutes)
                while clock.now < end { try await campaign.strike() }
            } else {
                for (server, other) in steps { try await campaign.strike(server, other) }
            }
            try await campaign.finish()
        } catch {
            Issue.record(error)
        }
        print(campaign.summary)
        #expect(campaign.oracle.wrong.isEmpty, "\(campaign.oracle.wrong.prefix(5))")
        #expect(campaign.oracle.taken > 0)
        try await campaign.stop()
    }
}
