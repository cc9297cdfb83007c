/* The coherent cache: what Redis, memory and loaders do to each other, for one key.
 *
 * Checked by Spin: ./bench model [--quick]. The promises, as docs/features/cache.md words them:
 *   G1  no stale set        assert at every accepted FILL, and at every answer of Redis
 *   G2  bounded staleness   assert at every answer of memory or of a joined load: from the START of the read
 *                           back to the moment at which Redis EXECUTED the invalidation
 *   G3  strict              a read that starts after a strict invalidation returned never answers the old value
 *   G4  bounded takeover    no deadlock, although the holder of a lease died
 *
 * What is modelled: one primary, one key, NW writes, two nodes. Node 0 is whole: memory, replies and pushes in one
 * FIFO, heartbeats, loss of its connection, NG callers. Node 1 (Remote) reads through to Redis, takes leases,
 * loads, fills and may die anywhere. That covers both by symmetry: nodes meet only in the server's state, and
 * memory only REMOVES requests. -DFULL makes node 1 whole too (large).
 * Around them: a connection is lost (what was not delivered is lost too, or is read late and then the end is
 * seen), half-open connections (the end is seen arbitrarily late), every process pauses when it likes (so does the
 * clock), the lease and the value expire or are evicted at any time, the holder of a lease dies, the
 * acknowledgement of an invalidation is lost and it is repeated, a lagging replica is promoted (-DFAILOVER),
 * pushes come at the end of the server's turn (-DBCAST, not in use yet).
 *
 * Left out, and why that is safe: the server executes a request in one step at any time after the caller decided to
 * send it (latency is a delay of the caller); the reply to a heartbeat carries the time at which the server handled
 * it (the code dates a proof by the sending, which is earlier, hence serves less). Not modelled: grace and stamps,
 * renewals, many keys, tickets (GET before PTTL), split brain.
 *
 * What stands for what
 *   val                  the key <prefix><pattern>, e.g. dev:cache:user:42; its value is the version of the database
 *   lease, tok           its fill lease {<key>}:l, or <key>:~l where the key has a hash tag of its own; and the token in it
 *   epoch, cep           <prefix>onggi:epoch, and what a node learnt of it in `hello`
 *   trk, open            the server's tracking table and its end of the connection (CLIENT TRACKING, every read watched, never NOLOOP)
 *   IO, toN, conn, cgen  CoherenceLink: its reading loop, the bytes on their way to it, and its generation
 *   PONG, lastping       the heartbeat (GET of the epoch key) and its reply
 *   proof, proofok       Proof: proof + B is its `until`; proofok = false is Unprove
 *   l1                   the ProvenEntry of the key in ProvenMemory; l1 = 0 is Drop, or Begin at a new connection
 *   Getter               OnggiCache.GetOrLoadAsync: ProvenMemory.Find, LoadRun (script ask), EntryFiller (script fill)
 *   fl, flproof, flid    LoadFlights: a running load of this process, its stamp (last sending that confirmed the lease)
 *   Writer, delk         a commit, then EntryWriter's invalidation: UNLINK <key> {<key>}:l
 *   STRICT               InvalidateAsync with Strict: returns when B has passed since the acknowledgement
 *   B                    MaxStaleness
 *
 * Sizes: NW writes, NG callers of node 0, NGET reads of each, NREM reads of the remote node, NBREAK losses of a
 * connection, the clock ends at TMAX; -DNORETRY no repeated invalidation, -DNOEVICT the value is not evicted.
 *
 * Configurations (tests/Support/CoherenceModel.cs has their sizes). Small, for --quick and ./test:
 *   hits       memory answers under proofs          evicts     the value goes by itself, invalidations are repeated
 *   cut        the connection is lost               writers    two writers at once
 *   readers    two callers, two leases              joins      a caller joins a running load
 *   failover   a lagging replica is promoted
 * Large, without --quick:
 *   large.cut       as cut, with more time, evictions and repeated invalidations
 *   large.writers   two writers, with more time and reads
 *   large.readers   two callers, two nodes
 *   large.joins     as joins, with more time and evictions
 *   large.failover  as failover, with more time, evictions and repeated invalidations
 *   large.failovers  as failover, with more time, and the connection is lost besides
 *   large.both      both nodes whole
 *   large.bcast     pushes at the end of the server's turn
 *
 * Mutants: -DMUT_name builds a mistake in; each must give a counter-example. The code has the same ones as
 * switches of the same names in CoherenceMutants.
 *   NoLease       FILL does not check the lease (the classic race)
 *   ForeignDel    the invalidation deletes the key and leaves its lease (as a plain foreign DEL does)
 *   TokenReuse    a token is the node's name, so an old holder looks like the new one
 *   BeforeCommit  the invalidation is executed before the commit
 *   NoFlush       memory is kept over a reconnect (neither dropped nor told apart by its generation)
 *   NoProof       memory answers without a proof
 *   ProofRecv     a proof is dated by the arrival of the heartbeat's reply
 *   EntryFirst    the entry is read before the proof
 *   LateInsert    memory is filled by the caller's continuation, not by the reading loop in stream order
 *   NoLoop        CLIENT TRACKING NOLOOP, and a fill puts its value into memory
 *   JoinAny       a caller joins any running load, however old its stamp
 *   NoWait        a strict invalidation returns at the acknowledgement
 *   FoValue       a value of before a failover is believed
 *   FoLease       a lease of before a failover may fill after it
 */
#ifndef B
#define B 1
#endif
#ifndef TMAX
#define TMAX 3
#endif
#ifndef NGET
#define NGET 2          /* Gets per reader */
#endif
#ifndef NBREAK
#define NBREAK 1        /* connection losses in all */
#endif
#ifndef NREM
#define NREM 2          /* Gets of the remote node */
#endif
#ifdef FULL
#define NFULL 1
#else
#define NFULL 0
#endif
#ifndef NG
#define NG 1            /* readers of node 0 */
#endif
#ifndef NW
#define NW 2            /* writes */
#endif
#define NN 2
#define NEVER 99
#ifdef FAILOVER
#define FOK 1           /* after a failover the promise is about what nodes are SERVED */
#else
#define FOK 0
#endif

mtype = { NONE, RVAL, RLEASE, RHELD, RFILL, PONG, INV, EOF };

byte db = 0;                 /* committed version in the database            */
byte val = 0;                /* Redis: <key>       0 = absent, else version+1 */
byte lease = 0;              /* Redis: {<key>}:l   0 = absent, else token     */
byte nexttok = 1;
bool trk[NN];                /* <key> is tracked for node n's connection    */
bool open[NN] = true;        /* server side of the connection                */
bool conn[NN] = true;        /* node's belief                                */
byte live[NN];               /* live readers of the node                     */
byte breaks = 0;
byte now = 0;

/* The ack is taken to arrive at the instant of execution, and a strict invalidation to return at
 * the first instant it may: the most demanding schedule of both. */
byte texec[3] = NEVER;       /* when invalidation of version w was executed (BCAST: acknowledged) */
byte maxexec = 0;            /* highest version invalidated                  */

byte l1[NN];                 /* 0 = absent, else version+1                   */
byte proof[NN]; bool proofok[NN]; byte lastping[NN] = NEVER;
mtype ans[2]; byte ansv[2];
byte cgen[NN];               /* connection losses seen by the node: fails its pending requests */

#ifdef FAILOVER
byte epoch = 0; byte valep = 0; byte leaseep = 0;
byte rval = 0; byte rlease = 0; byte rvalep = 0; byte rleaseep = 0; byte failovers = 0;
byte cep[NN];                /* epoch learnt at the handshake                */
#endif
#ifdef JOIN
bool fl[NN]; byte flproof[NN]; byte flres[NN]; byte flid[NN];
#endif
#ifdef BCAST
bool pend[NN];               /* broadcast push waits for beforeSleep         */
#endif

chan toN[NN] = [8] of { mtype, byte, byte };   /* type, reader, payload: replies AND pushes */

inline pushto(m) {
#ifdef BCAST
    if :: open[m] -> pend[m] = true :: else fi
#else
    if :: open[m] && trk[m] -> toN[m]!INV,0,0 :: else fi;
    trk[m] = false
#endif
}
inline pushall() { pushto(0); pushto(1) }

inline breakconn(n, keep) {
    if :: open[n] ->
        open[n] = false; trk[n] = false;
        if :: keep :: else -> do :: len(toN[n]) > 0 -> toN[n]?_,_,_ :: else -> break od fi;
        toN[n]!EOF,0,0
    :: else fi
}

#ifdef BCAST
/* the end of a turn of the server's event loop: there broadcast pushes leave */
active proctype BeforeSleep() {
end: do
    :: atomic { pend[0] && len(toN[0]) < 6 -> pend[0] = false; if :: open[0] -> toN[0]!INV,0,0 :: else fi }
    :: atomic { pend[1] && len(toN[1]) < 6 -> pend[1] = false; if :: open[1] -> toN[1]!INV,0,0 :: else fi }
    od
}
#endif

/* expiry or eviction at any time; replication and failover */
active proctype Env() {
end: do
    :: atomic { lease != 0 -> lease = 0 }
#ifndef NOEVICT
    :: atomic { val != 0 -> pushall(); val = 0 }
#endif
#ifdef FAILOVER
    :: atomic { failovers == 0 && (rval != val || rlease != lease || rvalep != valep || rleaseep != leaseep) ->
        rval = val; rlease = lease; rvalep = valep; rleaseep = leaseep }
    :: atomic { failovers == 0 -> failovers = 1; epoch = 1;
        val = rval; lease = rlease; valep = rvalep; leaseep = rleaseep;
        rval = 0; rlease = 0; rvalep = 0; rleaseep = 0;
        breakconn(0, false); breakconn(1, false) }
#endif
    od
}

/* the network: a connection ends, and what was under way to the node is still read (keep), or is lost */
active proctype Breaker() {
end: do
    :: atomic { breaks < NBREAK && open[0] && live[0] > 0 && len(toN[0]) > 0 -> breaks++; breakconn(0, true) }
    :: atomic { breaks < NBREAK && open[0] && live[0] > 0 -> breaks++; breakconn(0, false) }
    :: atomic { breaks < NBREAK && open[1] && live[1] > 0 && len(toN[1]) > 0 -> breaks++; breakconn(1, true) }
    :: atomic { breaks < NBREAK && open[1] && live[1] > 0 -> breaks++; breakconn(1, false) }
    od
}

/* time passes whenever it likes: this is also every pause of every other process */
active proctype Clock() {
end: do :: now < TMAX && live[0] + live[1] > 0 -> now++ od
}

inline delk() {                                             /* UNLINK <key> {<key>}:l  -- one command */
    if :: val != 0 -> pushall(); val = 0 :: else fi;
#ifndef MUT_ForeignDel
    lease = 0;
#endif
    skip
}
inline executed(w) {
    texec[w] = now;
    if :: w > maxexec -> maxexec = w :: else fi
}

proctype Writer(byte w) {          /* two writers run concurrently; commits are numbered */
#ifdef MUT_BeforeCommit
    atomic { delk() };
    atomic { db == w - 1 -> db++; executed(w) };
#else
    atomic { db == w - 1 -> db++ };                         /* COMMIT, then */
    atomic { delk();
#ifndef BCAST
        executed(w)
#else
        if :: w > maxexec -> maxexec = w :: else fi
#endif
    };
#endif
#ifdef BCAST
    atomic { !pend[0] && !pend[1] -> texec[w] = now };      /* replies leave after the broadcast */
#endif
#ifndef NORETRY
    if :: atomic { true -> delk() } :: true fi;             /* ack lost: executed once more */
#endif
    skip
}

/* the reading loop of a node's connection, its reconnecting, and its heartbeats */
proctype IO(byte n) {
    mtype t; byte g, a;
end: do
    :: atomic { live[n] > 0 && len(toN[n]) > 0 -> toN[n]?t,g,a;
        if
        :: t == RVAL ->
#ifndef MUT_LateInsert
            l1[n] = a;                       /* in stream order, by the reader itself */
#endif
            ans[g] = t; ansv[g] = a
        :: t == RLEASE || t == RHELD || t == RFILL -> ans[g] = t; ansv[g] = a
        :: t == INV -> l1[n] = 0
        :: t == PONG -> proofok[n] = true;
#ifdef MUT_ProofRecv
            proof[n] = now
#else
            proof[n] = a
#endif
        :: t == EOF -> conn[n] = false; cgen[n]++
        fi; t = NONE; g = 0; a = 0 }
    :: atomic { !conn[n] && !open[n] && live[n] > 0 -> open[n] = true; conn[n] = true;
#ifndef MUT_NoFlush
        l1[n] = 0; proofok[n] = false; proof[n] = 0;
#endif
#ifdef FAILOVER
        cep[n] = epoch;
#endif
        }
    :: atomic { live[n] > 0 && open[n] && conn[n] && lastping[n] != now && (!proofok[n] || proof[n] != now) && len(toN[n]) < 7 ->
        lastping[n] = now; toN[n]!PONG,0,now }           /* heartbeat answered */
    od
}

#ifdef MUT_NoWait
#define STRICT maxexec
#else
#define OVER(w) (texec[w] != NEVER && now > texec[w] + B)
#define STRICT (OVER(2) -> 2 : (OVER(1) -> 1 : 0))
#endif
#define STALE(v,w,t0) (v < w && texec[w] != NEVER && t0 > texec[w] + B)

inline gone() {                      /* the reader stops: forget its node when it was the last */
    live[n]--;
    if :: live[n] == 0 ->
        open[n] = false; trk[n] = false; conn[n] = false; l1[n] = 0; proof[n] = 0; proofok[n] = false; lastping[n] = 0;
        do :: len(toN[n]) > 0 -> toN[n]?_,_,_ :: else -> break od
       :: else fi
}

/* one caller of a whole node */
proctype Getter(byte g; byte n) {
    byte k = 0; byte t0, p, e, tok, a0, s0, v; bool pok; byte ep; byte myfl; byte mg;
    do
    :: atomic { k == NGET -> gone(); break }
    :: k < NGET ->
        /* ---- L1: proof, then entry, then clock ---- */
#ifdef MUT_EntryFirst
        atomic { k++; t0 = now; a0 = maxexec; s0 = STRICT; e = l1[n] };
        atomic { p = proof[n]; pok = proofok[n] };
#else
        atomic { k++; t0 = now; a0 = maxexec; s0 = STRICT; p = proof[n]; pok = proofok[n] };
        e = l1[n];
#endif
        if
#ifdef MUT_NoProof
        :: atomic { e != 0 ->
#else
        :: atomic { e != 0 && pok && now <= p + B ->
#endif
              v = e - 1;
              assert(!STALE(v,1,t0) && !STALE(v,2,t0));            /* G2 */
              assert(v >= s0) }                                     /* G3 */
        :: else ->
            atomic { e = 0; p = 0; pok = false };
#ifdef JOIN
            if
#ifdef MUT_JoinAny
            :: atomic { fl[n] -> myfl = flid[n] };
#else
            :: atomic { fl[n] && now <= flproof[n] + B -> myfl = flid[n] };
#endif
                atomic { (!fl[n] || flid[n] != myfl) ->
                    if :: flid[n] == myfl && flres[n] != 0 ->
                        v = flres[n] - 1;
                        assert(!STALE(v,1,t0) && !STALE(v,2,t0)); assert(v >= s0)
                       :: else fi;
                    myfl = 0; v = 0 };
                goto done
            :: true
            fi;
#endif
retry:
            /* ---- L2: GET-OR-LEASE, executed by the server in one step ---- */
            atomic { conn[n] -> ans[g] = NONE; p = now; mg = cgen[n] };
            if
            :: atomic { open[n] && cgen[n] == mg ->        /* a request belongs to its connection */
                trk[n] = true;
                if
#if defined(FAILOVER) && !defined(MUT_FoValue)
                :: val != 0 && valep == epoch -> toN[n]!RVAL,g,val
                :: (val == 0 || valep != epoch) && (lease == 0 || leaseep != epoch) ->
#else
                :: val != 0 -> toN[n]!RVAL,g,val
                :: val == 0 && lease == 0 ->
#endif
#ifdef MUT_TokenReuse
                    lease = n + 1;
#else
                    lease = nexttok; nexttok++;
#endif
#ifdef FAILOVER
                    leaseep = epoch;
#endif
                    toN[n]!RLEASE,g,lease
                :: else -> toN[n]!RHELD,g,0
                fi }
            :: !open[n] || cgen[n] != mg -> skip
            fi;
            if
            :: atomic { ans[g] == RVAL ->
                v = ansv[g] - 1;
                assert(v >= a0); assert(v >= s0);        /* an L2 hit is never older than an acked invalidation */
#ifdef MUT_LateInsert
                tok = ansv[g];
#endif
                v = 0 };
#ifdef MUT_LateInsert
                atomic { l1[n] = tok; tok = 0 }
#endif
            :: atomic { cgen[n] != mg && ans[g] == NONE -> p = 0 };
                if :: goto retry :: true fi               /* or give up: answer from the loader, uncached */
            :: atomic { ans[g] == RHELD && (lease == 0 || val != 0 || cgen[n] != mg) -> ans[g] = NONE; ansv[g] = 0; p = 0 };
                goto retry                                /* push on k or l, or the lease's PTTL ran out */
            :: atomic { ans[g] == RLEASE -> tok = ansv[g]; ans[g] = NONE; ansv[g] = 0;
#ifdef FAILOVER
                ep = cep[n];
#endif
#ifdef JOIN
                if :: !fl[n] -> fl[n] = true; flproof[n] = p; flres[n] = 0; flid[n] = flid[n] + 1; myfl = flid[n] :: else -> myfl = 0 fi;
#endif
                p = 0 };
                if
                :: atomic { g == 0 ->                     /* the lease holder dies */
#ifdef JOIN
                    if :: myfl != 0 -> fl[n] = false; flres[n] = 0 :: else fi;
#endif
                    gone(); goto fin }
                :: true
                fi;
                v = db + 1;                               /* the loader reads the database */
                if
#if defined(FAILOVER) && !defined(MUT_FoLease)
                :: atomic { conn[n] && open[n] && cep[n] == ep -> mg = cgen[n];
#else
                ::  atomic { conn[n] && open[n] -> mg = cgen[n];
#endif
                    /* ---- FILL ---- */
                    if
#ifdef MUT_NoLease
                    :: true ->
#else
                    :: lease == tok ->
#endif
                        assert(FOK || v - 1 >= maxexec);  /* G1 */
                        lease = 0;
                        toN[n]!RFILL,g,1;                 /* the reply, then the own push */
#ifdef MUT_NoLoop
                        trk[n] = false; pushto(1-n);
#else
                        pushall();
#endif
                        val = v;
#ifdef FAILOVER
                        valep = epoch;
#endif
#ifndef MUT_NoLease
                    :: else -> toN[n]!RFILL,g,0
#endif
                    fi; tok = 0 };
                    atomic { ans[g] == RFILL || cgen[n] != mg ->
#ifdef MUT_NoLoop
                        if :: ans[g] == RFILL && ansv[g] == 1 -> l1[n] = v :: else fi;
#endif
                        skip }
                :: atomic { !conn[n] || !open[n] -> tok = 0 } /* connection gone: the fill is dropped */
#if defined(FAILOVER) && !defined(MUT_FoLease)
                :: atomic { cep[n] != ep -> tok = 0 }
#endif
                fi;
#ifdef JOIN
                atomic { if :: myfl != 0 -> flres[n] = v; fl[n] = false; myfl = 0 :: else fi }
#endif
            fi
        fi;
done:
        atomic { ans[g] = NONE; ansv[g] = 0; v = 0; t0 = 0; a0 = 0; s0 = 0; p = 0; pok = false; e = 0; tok = 0; ep = 0; mg = 0 }
    od;
fin: skip
}

#ifndef FULL
/* the other node, without memory: it takes leases, loads, fills and dies */
active proctype Remote() {
    byte k = 0; byte tok, v, ep;
    do
    :: k < NREM ->
        if
        :: atomic { k++;                                     /* GET-OR-LEASE */
#if defined(FAILOVER) && !defined(MUT_FoValue)
            if
            :: val != 0 && valep == epoch -> assert(val - 1 >= maxexec)
            :: (val == 0 || valep != epoch) && (lease == 0 || leaseep != epoch) ->
#else
            if
            :: val != 0 -> assert(val - 1 >= maxexec)
            :: val == 0 && lease == 0 ->
#endif
#ifdef MUT_TokenReuse
                lease = 2;
#else
                lease = nexttok; nexttok++;
#endif
                tok = lease;
#ifdef FAILOVER
                leaseep = epoch; ep = epoch;
#endif
            :: else
            fi }
        fi;
        if
        :: tok != 0 ->
            v = db + 1;                                      /* the loader */
            if
            :: atomic { tok = 0; v = 0; k = NREM }           /* dies, or its connection is lost */
#if defined(FAILOVER) && !defined(MUT_FoLease)
            :: atomic { ep == epoch ->
#else
            :: atomic {
#endif
                if
#ifdef MUT_NoLease
                :: true ->
#else
                :: lease == tok ->
#endif
                    assert(FOK || v - 1 >= maxexec);         /* G1 */
                    lease = 0; pushall(); val = v;
#ifdef FAILOVER
                    valep = epoch;
#endif
#ifndef MUT_NoLease
                :: else
#endif
                fi; tok = 0; v = 0 }
            fi
        :: tok == 0 -> skip
        fi
    :: k == NREM -> break
    od
}
#endif

init { atomic {
    run Writer(1);
#if NW > 1
    run Writer(2);
#endif
#ifdef FULL
    live[0] = 1; live[1] = 1; run IO(0); run IO(1); run Getter(0, 0); run Getter(1, 1)
#else
    live[0] = NG; open[1] = false; conn[1] = false; run IO(0);
    run Getter(0, 0);
#if NG > 1
    run Getter(1, 0);
#endif
#endif
} }
