package sidetone;

import java.net.InetSocketAddress;

import org.h2.mvstore.MVStore;

import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.KeyedDatabase;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import de.bwaldvogel.mongo.wire.message.MongoQuery;

/**
 * mongo-java-server whose acknowledged writes survive kill -9: DurableMongo FILE PORT (0: the system chooses).
 * Prints one line `ready port=N`; SIGTERM closes the file cleanly.
 *
 * As the library comes, its store commits once a second from a thread of its own, so a reply promises nothing, and a
 * commit may fall between the row and its index entries. Here commands run one at a time, and each is committed as
 * a whole before its reply. "Committed" is written, not synced: right against a killed process, not against a
 * power cut.
 */
public final class DurableMongo extends H2Backend {
    private DurableMongo(MVStore store) {
        super(store);
    }

    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
        return new KeyedDatabase(name, getMvStore(), getCursorRegistry());
    }

    @Override
    public synchronized Document handleMessage(MongoMessage message) {
        try {
            // The library changes documents in place while other threads still encode them: replies get a copy.
            return super.handleMessage(message).cloneDeeply();
        } finally {
            commitAll(); // also after a refused command: the rows of a bulk before the refused one stay
        }
    }

    @Override
    public synchronized QueryResult handleQuery(MongoQuery query) {
        try {
            return super.handleQuery(query);
        } finally {
            commitAll();
        }
    }

    private void commitAll() {
        MVStore store = getMvStore();
        if (store.isClosed() || !store.hasUnsavedChanges()) {
            return;
        }
        commit();
    }

    @Override
    public synchronized void close() {
        super.close();
    }

    public static void main(String[] words) {
        if (words.length != 2) {
            System.err.println("usage: DurableMongo FILE PORT");
            System.exit(2);
        }
        MVStore store = new MVStore.Builder().fileName(words[0]).autoCommitDisabled().open();
        // Every commit writes a chunk; by default a dead one is kept 45 s against reordered writes, and a minute of a
        // test is a gigabyte. A killed process reorders nothing.
        store.setRetentionTime(0);
        MongoServer server = new MongoServer(new DurableMongo(store));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("127.0.0.1", Integer.parseInt(words[1]));
        InetSocketAddress address = server.getLocalAddress();
        System.out.println("ready port=" + address.getPort());
        System.out.flush();
    }
}
