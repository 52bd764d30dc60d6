// SPDX-License-Identifier: MIT

/// For every row of the table "Bounds" of ARCHITECTURE.md the tests that show it.
///
/// In the form of `rowTable`.
let boundTable = """
    outbound bytes of a client
        SlowReaderTests.answersAreNeverLeftOut
        SlowReaderTests.aSlowReaderMissesTheOldestAndReadsOn
        SlowReaderTests.aSlowReaderGetsTheNewestOfEachRoute
        CustomBoundTests.aSlowReaderMissesTheOldestAndReadsOn
        CustomBoundTests.aSlowReaderGetsTheNewestOfEachRoute
        CodecConnectorTests.aSlowReaderMissesWholeMessages
        SendingTests.aClientThatDoesNotReadIsClosed
        SendingTests.aFloodOfPingsIsBoundedToo
        SendingTests.aBurstInOneTurnIsOfferedBeforeTheClientIsGivenUp
    a client's unanswered requests
        DispatchTests.aSessionWithTooManyRequestsIsNotReadUntilSomeEnd
        DispatchTests.requestsBeyondTheHardLimitAreRefusedAtOnce
        DispatchTests.largeRequestsHoldBackTheirClientEarlier
    what was read of a client and waits
        BacklogTests.whatTheCoreDoesNotWantYetStaysUndecoded
        BacklogTests.nothingIsLostOrReordered
    what was read of all clients and is not decoded
        HeldBytesTests.thoseThatHoldMostMakeRoom
        HeldBytesTests.whatIsDecodedIsHeldNoMore
        HeldBytesTests.whatWaitsForItsTurnIsHeld
    what a client has compressed, a message or a body
        CompressionTests.aBombIsCutAtTheLimit
        CompressionTests.theLimitOfWhoIsNotKnownYetIsItsOwn
        CompressedBodyTests.aBombClosesItsClient
        CompressedBodyTests.theLimitIsThatOfAMessage
        InflaterTests.aBombIsCutAtTheLimit
        InflaterTests.anOutputHasNoMoreRoomThanTheLimit
    states of zlib
        CompressionTests.aPushIsCompressedOnceForAllThatAgreedOnTheSame
        CompressionTests.theSameBytesAreCompressedOnce
        CompressionTests.theClientMayReferToEarlierMessagesWhereThatIsAllowed
    a client's share of a turn
        BacklogTests.aMessageOfManyNotifiesIsWorkedOffInSharesOfATurn
        BacklogTests.tinyFragmentsUseUpTheShareToo
    what a client says in a time
        RateTests.aRequestTooManyIsToldWhenToComeBack
        RateTests.whoGoesOnIsClosedWithAFaultOfItsOwn
        RateTests.othersAreAnsweredAsBeforeWhileSomeFlood
        RateTests.clientsOfSocketIOAreCountedToo
        RateTests.clientsOfACustomConnectorAreCountedToo
    a proxy's header
        ProxyHeaderTests.aHeaderIsTheSameAtEverySplit
        ProxyTests.aHeaderThatDoesNotComeIsWaitedForAsLongAsAHandshake
    entries of a server's blacklist
        BlacklistTests.theListHasABound
    all clients' share of a turn
        TurnSharesTests.aTurnIsNoLongerWhenMoreAreBusy
        TurnSharesTests.nobodyInTheRowIsPassedOver
        TurnSharesTests.whoSaysLittleIsHeardAtOnce
    connections without a handshake
        PendingTests.beyondTheLimitTheOldestMakesRoom
        PendingTests.oneAddressHasItsOwnLimit
        PendingTests.atMostHalfOfAllMayBePending
    peers of UDP without a handshake
        UDPAbuseTests.aFloodInManyNamesLeavesNothingAndHindersNobody
        UDPAbuseTests.oneAddressHasItsShareOfThePlaces
        UDPAbuseTests.whateverComesNobodyIsSentMoreThanCameInItsName
        UDPAbuseTests.onlySoManyHooksRun
        UDPConnectorTests.whoNeverAcknowledgesIsForgotten
    clients of UDP
        UDPAbuseTests.clientsHaveABoundOfTheirOwn
    what a client of UDP said and waits for its turn
        UDPAbuseTests.aPausedClientMaySayOnlySoMuch
        UDPAbuseTests.allThatWaitHaveOneBound
    a datagram that is sent
        UDPAbuseTests.whatIsLongerThanADatagramIsNotSent
    datagrams that wait for the kernel
        UDPSocketTests.aFullQueueDropsByItsPolicy
        UDPSocketTests.emptyDatagramsTakeRoomToo
        HostileInternetTests.tenThousandThatSayNothingTakeNobodysPlace
    sessions of socket.io without a WebSocket
        SocketIOLimitTests.oneConnectionHasAPartOfItsAddressOnly
        SocketIOLimitTests.whoIsGoneMakesRoomBeforeNewcomers
        SocketIOLimitTests.whoHasBeenAwayForLongestMakesRoom
        SocketIOLimitTests.newcomersMakeRoomBeforeClients
        SocketIOLimitTests.whenAllAreThereNobodyComes
        SocketIOLimitTests.oneAddressHasAPartOnly
        SocketIOLimitTests.aWebSocketTakesNobodysPlace
        AttackTests.soItIsAmongHostilePollers
    a session of Engine.IO that has not entered
        SocketIOTimeTests.whoNeverEntersEnds
        SocketIOTimeTests.aClientOfZeroNineMayTakeItsTimeForAnotherTransport
    what waits for the polls of a client
        SocketIOLimitTests.whoDoesNotFetchIsClosed
        SocketIOLimitTests.theOldestPushesAreLeftOut
        SocketIOLimitTests.theNewestOfEachRouteStays
        SocketIOLimitTests.pingsDoNotPileUpAnswers
    what waits for the polls of all clients, and what they said that is not heard
        SocketIOLimitTests.theBoundOfAllTakesTheLargest
    requests of a session of socket.io
        SocketIOSessionTests.twoPollsAtOnceEndTheSession
        SocketIOSessionTests.inZeroNineTheNextPollReplacesTheLast
        SocketIOLimitTests.whoSaysMoreBeforeItIsHeardEnds
        SocketIOLimitTests.aPostIsAnsweredWhenItIsHeard
    packets of MQTT that are not done, of a client
        MQTTLimitTests.whoNeverAcknowledgesIsSentQoS0
        MQTTLimitTests.unreleasedMessagesAreBounded
        MQTTLimitTests.unansweredSubscribesAreBounded
    topics of a SUBSCRIBE or UNSUBSCRIBE of MQTT
        MQTTLimitTests.topicsOfASubscribeAreBounded
    a file of message schemas
        ProtobufReloadTests.aBrokenFileIsNamedAtTheStart
        ProtobufReloadTests.changedFilesAreReadOnceTheyStandStill
        ProtobufSchemaTests.definitionsEndAt64
    a message of a client that has a schema
        ProtobufTests.nestingEndsAt64
        ProtobufTests.reading
        ProtobufConnectorTests.whatIsMadeOfAMessageIsBounded
    requests of a connection
        SocketIOHTTPTests.pipelinedRequestsAreAnsweredOneAfterTheOther
    a request of HTTP
        SocketIOHTTPTests.headsAreBounded
        SocketIOHTTPTests.lengthsThatCannotBeAreRefused
        SocketIOHTTPTests.aBodyThatNeverEndsEndsItsConnectionOnly
    handshakes of TLS
        TLSServerTests.aTurnHasRoomForSoManyStepsOfHandshakes
        EncryptedPortTests.whoStopsInTheMiddleOfAHandshakeIsClosedInTime
    records of a TLS peer without text: new keys, handshakes anew, warnings
        HostilePeerTests.newKeysWithoutEndAreRefused
        HostilePeerTests.newKeysForEveryWordAreRefused
        HostilePeerTests.newKeysNowAndThenAreAsTheyShouldBe
    what an encrypted stream holds
        TLSStreamTests.aPausedUserGetsNothingUntilItReadsOn
    connections of a connector
        PendingTests.whoComesBeyondTheLimitWaitsUntilThereIsRoom
        AttackTests.aSilentFloodLeavesDescriptorsForRedis
    connections accepted in a turn
        AcceptTests.atMost64ConnectionsAreAcceptedInATurn
    log lines of one kind that outsiders cause
        LogTests.failingRequestsOfAFloodWriteFewLines
    requests of a session that wait in serial
        SerialFilterTests.aFullQueueRefuses
    a client's package
        PacketTests.refusesLongBodiesBeforeTheyArrive
        SendingTests.aLargeMessageMayFollowTheAcknowledgementAtOnce
        WebSocketTests.theLimitCanChangeBetweenTwoFramesOfOneInput
    calls to a server
        CallTests.callsBeyondTheBoundFailAtOnce
        CallTests.bytesBeyondTheBoundFailAtOnce
    calls of a server that wait for its word that they are awaited
        LateTests.callsThatWaitForAWordAreBoundedAndEndInTime
    connections between servers without a handshake
        ConnectTests.aFloodOfSilentConnectionsKeepsNoServerOut
    nodes of a Redis Cluster
        RedisClusterPureTests.whatIsNoMapIsNone
    nodes of a Redis Cluster that only redirections have told of
        ClusterFaultTests.redirectionsToEverNewPlacesKeepFewConnections
    channels sent from node to node, and news of a moved primary
        ClusterFaultTests.aChannelThatIsSentToAndFroIsFollowedWithGrowingPauses
        SentinelFaultTests.aFloodOfNewsMakesFewConnections
        SentinelFaultTests.aSentinelThatAlwaysNamesAnotherPlaceIsAskedWithPauses
    Redis commands without a reply
        RedisConnectionTests.tooManyPendingWaitAndMoreAreRefused
        RedisLimitTests.roomIsWaitedForWithinTheDeadline
        RedisLimitTests.whoWaitsForRoomIsServedInTurn
        RedisLimitTests.aBatchBeyondTheBoundIsSentInParts
        RedisLimitTests.partsWaitForRoomThatOthersHaveTaken
        RedisLimitTests.tooManyBytesPendingAreRefused
    messages of Redis that a reader has not read
        MessageTests.whatIsDroppedLeavesOneGapInItsPlace
        MessageTests.bytesAreBoundedToo
    channels subscribed in one round trip
        MessageTests.manyChannelsAreSubscribedAgainInBatches
    sentinels of one primary
        SentinelTests.furtherSentinelsAreLearned
        SentinelTests.sentinelsThatAreDeadOrFrozenAreAskedInVain
    a reply of Redis
        RedisLimitTests.aReplyBeyondTheBoundEndsTheConnection
    names whose addresses are kept
        NameTests.theLastGoodAnswerOutlivesTheResolver
        DialTests.aNameIsAskedOnceAtATime
    work off the loop
        OffLoopTests.the257thWaitingJobIsRefused
    unpublished memberships
        PublishingTests.anOutageOfManyChangesLeavesABacklogOfWhatDiffers
        CleanUpTests.anOutageOfManyChannelsDoesNotGrowTheBacklog
        CleanUpTests.marksOfLeaversAndOfEmptyChannelsAreBounded
    unpublished status
        CrossingTests.marksOfThoseWhoLeftAreBounded
        CrossingTests.afterACrowd
    members written at once
        CleanUpTests.aLongChannelIsWrittenInParts
    entries removed between two looks at the clean-up token
        CleanUpSlicesTests.noMoreThanFiftyEntriesBetweenTwoLooks
        CleanUpSlicesTests.aLostTokenStopsAtOnce
    keys walked for a lost index
        CleanUpTests.channelsWithoutAnIndexAreFound
        CleanUpTests.usersWithoutAnIndexAreFound
        BoundTests.aWalkEndsAfter10000Pages
    channel changes not in their store
        LocalChannelStoreTests.aLongOutageIsBoundedByChannelsAndMembers
    pushes on their way to a channel's members, by user id, or to all
        DeliveryQueueTests.whatWaitsIsBounded
        DeliveryQueueTests.longPushesGoInSlices
    users whose absence is being judged
        BoundTests.whoseAbsenceWaitsBehind50000OthersIsAGap
    what a frontend remembers of who came and went
        BoundTests.theOldestOf65536WordsIsForgotten
    channels with unconfirmed pushes, for a frontend
        BoundTests.beyond1024ChannelsAFrontendIsToldOfAll
    deliveries of a turn by pushes that wait for no other server
        PushShareTests.aRowOfPushesLetsOthersIn
    pushes a buffer scheduler keeps
        PushSchedulerTests.aFullBufferLeavesEarly
    a registry entry
        PureTests.badEntry
        PureTests.anEntryOfAnySizeIsRefused
        FollowingTests.anEntryThatNoServerWouldAnnounceIsIgnored
    lines about servers that stop or begin to answer
        TransportRuleTests.aStormOfDoubtsIsToldAsANumber
    jobs before I/O is looked at
        FairnessTests.twoHundredTasksThatNeverStopDoNotStarveATimer
    streams flushed per turn
        OrderTests.exactly256AreFlushedInOneTurnAndTheRestInTheNext
        OrderTests.theRestWaitsForTheNextTurnInOrder
    a value of sync
        JournalFaultTests.theNthOperationFails
        JournalTests.anotherServerOfItsTypeReplaysWhatADeadOneHasLeft
        JournalTests.aFrozenOwnerThatIsClaimedAcknowledgesNothingThere
        JournalTests.aValueThatComesLateIsNotWrittenOverALaterOne
        JournalTests.anEntryOfANewerVersionIsLeftAlone
        ClaimTests.aClaimThatComesLateTakesNothingAway
        ClaimTests.anOwnerThatStoodStillForLongerThanAFenceLastsTakesAnotherName
        SyncCampaignTests.aFileOfSQLite
        SyncCampaignTests.redis
    values of sync that wait
        MergeTests.whatIsWrongIsToldToTheCallerAndNothingIsNoted
        RedisAwayTests.bytesAreBounded
        RedisAwayTests.backPressureWaitsForTheSink
    callers of sync that wait for Redis
        ClaimTests.callersThatWaitForRedisAreBounded
    values of sync that are replayed of other journals
        ClaimTests.noMoreIsReadThanThereIsRoomFor
        ClaimTests.aPageThatIsTooMuchIsReadInSmallerOnes
    dead letters of sync
        FaultTests.whenTheDeadLettersAreFullValuesWait
        JournalTests.deadLettersSurvive
        ClaimTests.deadLettersThatFindNoRoomAreLeftToTheirServer
    a MemoryStore
        MemoryStoreTests.theStoreIsBounded
    restarts of a server under start
        RestartTests.soManyInARow
        RestartTests.aMinuteMakesUpForAll
        SupervisorTests.whatEndsIsStartedAgainAndThenLeftDown
    <id>.log of a server under start
        ProcessLogTests.aLongOneIsPutAside
        ProcessLogTests.fiveAreKept
        StartCommandTests.aLogThatHasBecomeLongIsPutAside
    logins that watchServer shows
        WatchServerTests.ofManyLoginsTheLastAreShown
    a line of the console, and a command
        OperatorCommandTests.theConsole
        OperationsTests.aCommandThatIsTooLong
    values of a key that have left PomeloSync and are kept
        MergeTests.aValueThatHasLeftIsLetGoOf
    stacks of a profile
        AdministrationTests.aProfileHasAnEnd
    logins of operators that nobody has gone on with
        OperationsTests.tenThousandHellos
    questions at an extension point
        AskOrderTests.beyondSixtyFourThatWaitWithOneKeyThePolicyDecides
        AskOrderTests.beyondFourThousandQuestionsThePolicyDecides
        AskOrderTests.beyondSixteenMebibytesOfDataThePolicyDecides
    calls of one implementer at extension points
        AskOrderTests.beyondSixtyFourCallsAnImplementerIsSkippedUntilOneReallyEnds
    what implementers of the own process are told
        TellTests.aThousandEventsWaitForEachImplementer
        TellTests.sixtyFourEventsWaitWithOneKeyForEachImplementer
        TellTests.sixteenMebibytesWaitForEachImplementer
    events for outside plugins that wait for Redis
        DeliveryTests.whileRedisIsAwayEventsWaitAndAreBounded
    events for one outside plugin
        DeliveryTests.aStreamAndItsDeadLettersAreBounded
    events on their way to one outside plugin
        DeliveryTests.noMoreThanAWindowOfAStreamIsHeld
    outside plugins
        RegistrationTests.pluginsAndTheirAddressesAreBounded
    what an outside plugin says of itself
        RegistrationTests.aPluginThatSaysTooMuchIsRefused
    calls of the cluster by one outside plugin
        RoutingTests.pluginsAskTheClusterWithinTheirScopesAndRate
        RoutingTests.loopsEnd
    connections and requests of KeelServer
        KeelBoundTests.requestsInProgressHaveABound
        KeelBoundTests.connectionsHaveABoundBeyondWhichTheyWait
        KeelBoundTests.whatIsNoRequestIsRefused
    a body to or from an outside plugin
        KeelForwardFailureTests.aRequestThatIsTooLargeIsRefusedAnnouncedOrNot
        KeelForwardFailureTests.anAnswerThatIsAnnouncedTooLargeIsRefusedWhole
        KeelForwardFailureTests.aPluginThatNeverEndsIsEndedAtTheLimit
    """
