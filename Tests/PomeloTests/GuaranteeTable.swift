// SPDX-License-Identifier: MIT

/// For every row of the table "What is guaranteed" of ARCHITECTURE.md the tests that show it; `boundTable` is for the
/// table behind it.
///
/// In the form of `rowTable`.
let guaranteeTable = """
    call between servers
        FaultTests.aCutAtAnyFrame
        FaultTests.tenThousandCallsUnderRandomCutsHaveTenThousandOutcomes
        CallTests.aCallOnItsWayFailsAtItsDeadlineAndTheLateReplyIsDropped
        SocketTests.tenThousandCallsInBothDirections
        LateTests.whatIsLateIsDroppedAndTheRestRunsInOrder
        LateTests.aProcedureThatBeginsLateIsNotBegun
    servers of two versions
        CallTests.outcomesAreTheSameNearAndFar
        ProcedureNumberTests.numbersNeverChange
        SessionInstanceTests.aProcedureIsAskedOfOneStartOfItsServer
    connection between servers
        SealTests.aRelayCannotChangeWhatIsSaid
        SealTests.betweenHostsEverythingIsSealed
        SealTests.recordsOfOneConnectionAreOfNoUseOnTheNext
        NoiseTests.thePublicVectorIsReproduced
    encrypted clients, and Redis
        TLSServerTests.aNewCertificateIsShownToWhoConnectsFromThenOn
        TLSStreamTests.aByteChangedOnTheWayEndsIt
        RedisTLSTests.whoIsNotBelievedIsNamedInOneLine
    request
        DrainTests.whatWasBegunIsAnsweredBeforeClientsAreClosed
        DrainTests.whatIsNeverAnsweredIsWaitedForSoLong
        DispatchTests.aHandlerThatNeverReturnsIsAnsweredAtItsDeadlineOnce
        DispatchTests.aServerThatDiesIsAnsweredForAtOnce
        OrderTests.tasksStartInTheOrderOfTheCalls
        OrderTests.bodiesBeginInTheOrderOfTheCallsWaitOrNot
        ForwardingTests.requestsOfASessionBeginInOrderWhetherTheirHandlersWaitOrNot
        ForwardingTests.aSessionStaysWithTheServerThatHasItsRequestsWhenOnlyTheChoicesChange
        ForwardingTests.aForwardedRequestOutlivesItsClient
        ArrivalTests.whatWasHeldBackIsAnsweredAtItsDeadlineFromArrival
    the address of a client
        ProxyTests.theSessionHasTheAddressOfTheClient
        ProxyTests.whoIsNoProxyIsNotBelieved
        ProxyTests.aRequestOfATrustedProxyNamesItsClient
        ProxyTests.whoHasNoHandshakeCountsAtTheClientsAddress
        HostileInternetTests.madeUpAddressesAreWorthNothing
    a client on a blacklist
        BlacklistTests.whoIsListedIsClosedUnheard
        BlacklistTests.whomAProxySpeaksForIsBlockedToo
        BlacklistTests.whoIsAskedAboutWaits
    a client of a custom connector
        CustomConnectorTests.eachClientEndsOnceHoweverOftenItIsSaid
        CustomCodecTests.aCodecThatAnswersLateKeepsTheOrderOfEachClient
        ConnectorSuiteTests.thePipeConnector
    a message of a client of MQTT
        MQTTMessageTests.aConversationAtEverySplit
        MQTTMessageTests.aMessageOfQoS2IsHandedOnOnce
        MQTTMessageTests.twoClientsMayHaveTheSameIDs
    push to a client of MQTT
        MQTTMessageTests.aPushIsWrittenOnce
        MQTTLimitTests.whoNeverAcknowledgesIsSentQoS0
        MQTTLimitTests.whereMessagesMayBeLeftOutThereIsNoQoS1
    a client of datagrams
        UDPConnectorTests.aClientAsTheOriginalsShakesHandsAndTalks
        UDPConnectorTests.silenceEndsAClientAndItIsTold
        UDPAbuseTests.whateverComesNobodyIsSentMoreThanCameInItsName
        UDPAbuseTests.garbageEndsNobody
        UDPAbuseTests.aDatagramIsTakenWholeOrNotAtAll
        UDPNetworkTests.aBadNetworkIsTalkedOver
    push to a client of socket.io
        SocketIOSimulationTests.everyPushComesOnceAndInOrder
        SocketIOHTTPTests.aConnectionThatClosesAfterEachAnswerIsToldEverythingOnce
        SocketIOHTTPTests.anAnswerThatDidNotLeaveIsGivenToTheNextPoll
        SocketIOSessionTests.anUpgradeLosesNothing
        SocketIOSharingTests.aPushIsEncodedOncePerKindAndReachesAll
    a compressed WebSocket message
        WebSocketCaseTests.everyCasePasses
        CompressionTests.fragmentsWithControlFramesBetweenThemAreOneMessage
        CompressionTests.aPushIsCompressedOnceForAllThatAgreedOnTheSame
        CompressionTests.answersAreCompressedIfTheyGetSmaller
        CompressionTests.isOffByDefault
    a session of socket.io
        SocketIOSessionTests.lastWordsAreHeard
        SocketIOSessionTests.aKickIsFetched
        SocketIOSessionTests.nothingLivesOn
        SocketIOTimeTests.aPollingClientThatStaysAwayEnds
        SocketIOTimeTests.withoutHeartbeatsAPollingClientThatStaysAwayEndsToo
        SocketIOTimeTests.withoutHeartbeatsADeadWebSocketIsNoticed
    messages of a route with a schema
        ProtobufConnectorTests.messagesOfARouteWithASchemaAreTranslated
        ProtobufConnectorTests.whatIsNoMessageIsDroppedAndCounted
        ProtobufConnectorTests.anAnswerThatDoesNotFitGoesOutEmpty
        ProtobufReloadTests.clientsKeepTheSchemasTheyWereWelcomedWith
        ProtobufReloadTests.theSchemasAreThoseOfTheAnswer
        ProtobufReloadTests.aPushKeepsTheVersionsItWasFramedFor
        ProtobufReloadTests.aBrokenFileIsToldOnce
    a server that stood still
        PauseTests.whatCameWhileTheLoopStoodStillIsReadBeforeTimersFire
        PauseTests.aPauseOfTheServerIsNoClientsFault
        TimerGateTests.aPauseBetweenPollAndTimersMakesThemWaitForOneMorePoll
    a log line
        LogTests.aLineCannotBeForged
        LogTests.whatIsTooMuchIsCountedAndTold
        AttackTests.logsCannotBeForged
    push to a channel
        PushTests.oneCallPerFrontendAndNoneToTheStore
        PushTests.tenThousandMembersAreServedInSlicesAndInOrder
        PushTests.slowReadersAreCounted
        SendingTests.aSlowConsumerDisturbsNobody
    membership
        MembershipTests.theLastSessionEndsTheMembershipBeforeTheEvent
        FailureTests.connectorIsKilled
        ReaperTests.removedWithinLeaseAndTwoSeconds
    member of a process's channel
        AutomaticLeaveTests.aMemberAtAnotherFrontendLeavesWithItsLastSession
        AutomaticLeaveTests.aQuestionThatFailsIsAskedAgain
        AutomaticLeaveTests.aFrontendThatForgotTheQuestionIsAskedAgainBy
    a call for a session, binding or membership
        SessionInstanceTests.aLateCallReachesNoSessionOfTheNextStart
        SessionInstanceTests.sessionIdsOfTwoStartsHaveNothingInCommon
    binding (refuse)
        ClaimTests.neverTwoHolders
        ClaimTests.aHolderThatDoesNotAnswerLosesTheUserAfterHalfASecond
        ReboundTests.aHolderThatCouldNotBeAskedEndsItsSessionWhenItIsTaken
        ReboundTests.anEmptiedRedisLeavesTheUserToWhoeverHasTheBinding
        ReboundTests.olderDataThatNamesAServerThatStartsDoesNotEndTheSession
        CrossingTests.aClaimDoesNotOvertakeARelease
    server id
        JoinTests.aSecondProcessOfALiveServersId
        TakenTests.aSecondProcessNeverTakesTheIdOfALiveServer
        TakenTests.aServerStartedSinceTheSnapshotStays
        TakenTests.aHolderThatAnswersIsLeftInPeace
        RealClusterTests.serversComeAndGoWhileTheirRegistryMoves
        RealClusterTests.thePrimaryOfTheRegistryDies
    view
        IntroductionTests.aFrontendIsKnownToAllBeforeItListens
        IntroductionTests.whoDoesNotAnswerDelaysNobodyForLong
        IntroductionTests.aFrontendOfARegistryThatWasLostIsKnownToAllBeforeItListens
        YoungRegistryTests.aServerThatStartsThenServesOnlyWithAWholeView
        YoungRegistryTests.aRegistryThatLostItsDataIsWholeAtTheNextLook
        ViewTests.anEmptiedRedisIsFilledAgain
        YoungRegistryTests.aServerMissedByOneThatRunsMakesItsViewIncomplete
        YoungRegistryTests.aColdStartWaitsForNothing
    clean-up after an instance
        SlowRedisTests.aCleanerThatWakesUpLateRemovesNothingOfTheNextInstance
        CleanUpTests.aReaperThatIsSlowRemovesNothingOfTheNextInstance
        CleanUpTests.twentyThousandUsersAreCleanedUpInTime
        CleanUpTests.twoThousandChannelsAreCleanedUpInTime
        SleepingReaperTests.nothingOfTheNextInstanceIsMissing
    memberships in Redis Cluster
        ClusterLayoutTests.allThatAServerHasIsInOneSlot
        ClusterLayoutTests.cleaningTakesNothingOfOthers
        CleanUpTests.aServerThatIsBackWithoutAnEntryIsCleanedUpAfterOnceMore
        WalkTests.whoStartsLooksAtANodeThatWentBackWhileNobodyRan
        WalkTests.aSecondServerOfTheSameRunDoesNotWalkAgain
    status and bindings in Redis Cluster
        ClusterLayoutTests.whatAServerHasIsInItsIndexWhereverItDies
        ClusterLayoutTests.aLateCleanerRemovesNoBindingOfTheNextInstance
        ClusterLayoutTests.whatANodeBringsBackDuringAStartIsToldToTheServer
        ClusterLayoutTests.aServerWithoutUsersHearsOfThoseThatANodeBroughtBack
        ClusterLayoutTests.aLatePublicationIsToldToTheNextInstance
        ClusterLayoutTests.aLateClaimIsGivenBack
        ClusterLayoutTests.whatANodeLostIsPublishedAgain
        ClusterLayoutTests.whatANodeBringsBackIsRemoved
        ClusterLayoutTests.whoStartsLooksAtANodeThatWentBackWhileNobodyRan
        ClusterLayoutTests.aSecondServerOfTheSameRunDoesNotWalkAgain
        MovingBindingTests.ofTwoClaimsOneIsGrantedWhileTheirSlotsMove
        MovingBindingTests.aBindingOutlivesThePrimaryOfItsSlot
    a stop
        ReaperTests.whoCouldNotRemoveItsStateIsCleanedUpAfter
    an office (Election)
        ElectionSimulationTests.nobodyIsObeyedWhoHoldsItNoMore
        ElectionTests.aTermEndsByOnesOwnClockBeforeAnotherBegins
        ElectionTests.anotherFollowsWithinATermAndASecondAfterADeath
        ElectionTests.tokensRiseAlsoWhenTheStoreHasLostAll
        ElectionTests.theOfficePassesOn
    servers under start
        StartCommandTests.allOfThemUntilItIsToldToStop
        StartCommandTests.nothingIsLeft
        StartCommandTests.nothingIsLeftOfServersThatHang
        StartCommandTests.nothingIsLeftWithoutTheFirstKeeper
        SupervisorTests.theyEndInOrder
    servers of other machines
        FarProcessTests.itIsAskedToEnd
        FarProcessTests.itIsKilled
        FarProcessTests.itDoesNotOutliveItsConnection
        FarServerTests.itIsStartedStoppedAndKilled
        FarServerTests.nothingIsLeftOfIt
        FarServerTests.itOutlivesAMasterInTheBackground
    servers under start -D
        DaemonTests.theServersOutliveTheirMasterAndTheNextOneKeepsThem
        AdoptionTests.anotherProcessOfThatNumberIsNot
        AdoptionTests.whatWasStoppedOnPurposeStaysDown
        StandbyTests.anotherMasterLeadsWithinTwelveSecondsOfADeath
        StandbyTests.aLeaderThatStoodStillDoesNoHarm
    a command of an operator
        OperationsTests.aCommandIsCarriedOutOnceAndWrittenDown
        OperationsTests.whatARoleMayNot
        OperationsTests.withoutAnAuditLogNothingIsDone
        PasswordHashTests.aProofIsOfOneCommandOfOneLogin
        OperatorCommandTests.whoMayDoWhat
    lost members
        LostTests.regression6MembersOfACrashedFrontendEnd
        LostTests.aListenerThatDoesNotAnswerIsReplacedByTheOneThatCleansUp
        ReaperTests.anotherFinishesWhatADeadReaperBegan
    absence
        PresenceTests.whoIsBackBeforeTheCleanUpIsNotToldGone
        PresenceTests.oneAbsenceIsToldOnce
        PresenceTests.theOlderWordNeverFollowsTheNewer
        PresenceTests.nothingIsToldWhileALiveFrontendDoesNotAnswer
        PresenceTests.aFrontendThatAnswersInTheMiddleIsTold
        PresenceTests.aWordAboutAComingThatComesLateIsJudgedAgain
        PresenceTests.whoCameDuringAGapIsToldGoneAgain
        PresenceTests.aConnectorThatRestartsAtOnceTellsOnlyOfThoseWhoAreNowhere
    offline
        StatusTests.whoIsOnlineIsFoundInAnEmptiedStore
        StatusTests.whoseServerDoesNotAnswerIsNotSaidToBeOffline
        StatusTests.inDoubtASilentFrontendLeavesItOpen
    missed pushes
        PresenceTests.aPauseIsAGapForTheChannelsThere
        PresenceTests.whatWasNotConfirmedIsAGap
        PresenceTests.aFrontendGoneSoonAfterAnOutageIsAGap
        PresenceTests.whoMissedPushesInAPauseIsToldSo
    push to all
        PresenceTests.anIncompleteViewIsSaid
        PresenceTests.aChatServerThatStartsAfterALossAcknowledgesNothingThatDidNotReachAll
    connection to a name
        DialTests.aBlackHoleInFrontDoesNotEatTheDeadline
        DialTests.theAddressThatWasGoodComesFirst
    start
        RedisLimitTests.aServerThatIsSlowIsWaitedFor
        RedisLimitTests.aServerThatLoadsItsDataIsWaitedFor
        RedisLimitTests.aStartThatIsCancelledEndsAtOnce
        StartTests.termDuringStartIsNoError
        ClusterFaultTests.whereNoNodeListensTheStartEndsSoon
        ClusterFaultTests.seedsThatAreDeadCostTheOthersLittle
        RedisConfigurationTests.aTimeThatCannotBeEndsTheStart
    a batch of commands
        RedisBatchTests.transactionsAndScriptsKeepTheirPlaceInABatch
        RedisPipelineTests.aServerAnswersAsTheModel
        RedisLimitTests.roomIsWaitedForWithinTheDeadline
        RedisLimitTests.callsOfOneTurnThatWaitForRoomEndWhenTheyAreCancelled
    a batch on a cluster
        RedisClusterPureTests.aBatchIsExecutedOnceAndInOrder
        RedisClusterTests.tenThousandCommandsComeBackInOrderWhileSlotsMove
        RedisClusterTests.aSlotInTheMiddleOfItsMoveIsServed
        RedisClusterTests.whatNoNodeCanDoIsRefusedBeforeAnythingIsSent
        RedisClusterTests.aPrimaryThatDiesIsReplaced
        RedisPipelineTests.aClusterAnswersAsTheModel
    a fail-over
        SentinelTests.aFailOverIsFollowedByAllConnections
        SentinelTests.aPrimaryThatDiedIsReplacedAndNotUsedWhenItIsBack
        SentinelTests.whenAllSentinelsAreAwayTheConnectionsStayAndNewOnesWait
        LostBindingTests.ofTwoHoldersTheLaterOneStays
        RedisInputTests.aServerThatCannotServeIsLeftInWhateverFormItSaysSo
        RedisInputTests.theWordOfAScriptAloneIsNoReasonToLeave
    messages of Redis
        MessageTests.sequencesOfTheClientKeepTheRules
        MessageTests.aSubscriptionThatTheServerEndsIsMadeAnewElsewhere
        ClusterFaultTests.aChannelThatEndsWithItsConfirmationIsSubscribedAgain
        ClusterFaultTests.aChannelThatEndsWithItsNextConfirmationIsMissedUntilTheOneAfter
    health of Redis
        HealthTests.aLossIsKnownAtOnceAndTheReturnIsTried
        HealthTests.aSubscriptionThatTheServerHasForgottenIsMadeAgain
        HealthTests.whatWritesAreRefusedForIsTold
    Redis away
        FailureTests.redisDiesAndComesBackEmpty
        FailureTests.redisHangs
        HealthTests.aServerWithoutRedisIsIsolatedAfterTwoLeases
        ReboundTests.anIsolatedServerRefusesBindsAtOnceAndComesBackByItself
    a registration of an outside plugin
        RegistrationTests.aRegistrationIsAllOrNothing
        RegistrationTests.aProcessThatDiesInTheMiddleLeavesNothing
        RegistrationTests.ofTwoAtOnceOneIsRegistered
        RegistrationRaceTests.ofSeveralThatReplaceOneIsMade
        RegistrationRaceTests.whatWasRefusedIsTakenBackWhenRedisIsThereAgain
        RegistrationTests.aChangeThatIsMadeIsNotSaidToHaveFailed
        RegistrationTests.unregisteringDrains
        RegistrationTests.registrationsAreRefusedWhileRedisIsAway
        HealthTests.whatAProcessBeganToUnregisterThatDiedIsEnded
    who calls an outside plugin
        RoutingTests.onlyThePlatformSaysWhoCalls
        RoutingTests.aTokenInAuthorizationStaysWithThePlatform
        RoutingTests.aCallersConnectionReachesNothingOfThePlatform
        RoutingTests.tokensThatAreNoneAreRefused
        RoutingTests.aRevokedPluginsTokenAndSecretAreVoid
        KeelTokensTests.noTokenThatWasChangedIsOne
        PluginStoreTests.keysAreSealedWithTheClustersSecret
    a call of an outside plugin
        RoutingTests.theGateAnswersByStatus
        RoutingTests.deadlinesAreTheCallersWithinOurs
        HealthTests.regressionADeadPluginIsNotActive
        KeelForwardFailureTests.aPluginThatIsNotThereIsTriedAgainAndNothingIsSentTwice
        KeelForwardFailureTests.anAnswerThatEndsInTheMiddleEndsTheConnectionAndIsNotMadeWhole
    a question to plugins
        AskOrderTests.questionsWithOneKeyKeepTheirOrderHoweverSlowTheAnswers
        AskTests.aHungImplementerCostsTheBudgetAndNoMore
        InterleavingTests.everyQuestionIsAnsweredAsTheModelSays
        DeliveryTests.aPluginIsAskedAsAnImplementerWithinItsTime
    what outside plugins are told
        DeliveryTests.eventsOfAKeyComeInOrderAndOnce
        DeliveryTests.whatIsNeverTakenIsADeadLetterThatCanBeToldAgain
        DeliveryTests.anotherProcessGoesOnWhereOneDied
        DeliveryTests.whatIsSupersededIsToldOnceAndTheLatest
    what a client of a custom connector said and waits
        CustomConnectorTests.whatAPausedClientSaysWaitsToItsBound
    what all clients of a custom connector said and waits
        CustomBoundTests.whatAllClientsSaidIsBounded
    messages to a client that wait for a codec
        CustomCodecTests.whatWaitsForACodecIsBounded
    a codec's time for a message
        CustomCodecTests.aCodecThatNeverAnswersLosesOneMessageAndNoClient
    """
