package de.bwaldvogel.mongo.backend.h2;

import java.util.List;
import java.util.Map;

import org.h2.mvstore.MVStore;

import de.bwaldvogel.mongo.backend.AbstractUniqueIndex;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.bson.Document;

/**
 * A database whose unique indexes also serve queries that ask for more than the key, as a MongoDB's do. As the library
 * comes, {leg: L, revision: ...} walks through the whole collection, and a thousand documents make every write slow.
 * What an index finds is compared with the whole query by the library. (In this package for H2UniqueIndex's sake.)
 */
public final class KeyedDatabase extends H2Database {
    public KeyedDatabase(String name, MVStore store, CursorRegistry cursors) {
        super(name, store, cursors);
    }

    @Override
    protected Index<Object> openOrCreateUniqueIndex(String collection, String name, List<IndexKey> keys, boolean sparse) {
        Index<Object> index = super.openOrCreateUniqueIndex(collection, name, keys, sparse);
        return new KeyedIndex((H2UniqueIndex) index, name, keys, sparse);
    }

    private static final class KeyedIndex extends AbstractUniqueIndex<Object> {
        private final H2UniqueIndex inner;

        KeyedIndex(H2UniqueIndex inner, String name, List<IndexKey> keys, boolean sparse) {
            super(name, keys, sparse);
            this.inner = inner;
        }

        /** The part of a query that is about our keys; null: it leaves one out. */
        private Document ours(Document query) {
            Document part = new Document();
            for (String key : keys()) {
                if (!query.containsKey(key)) {
                    return null;
                }
                part.put(key, query.get(key));
            }
            return part;
        }

        @Override
        public synchronized boolean canHandle(Document query) {
            Document part = ours(query);
            return part != null && super.canHandle(part);
        }

        @Override
        public synchronized Iterable<Object> getPositions(Document query) {
            return super.getPositions(ours(query));
        }

        @Override
        protected Object removeDocument(KeyValue key) {
            return inner.removeDocument(key);
        }

        @Override
        protected boolean putKeyPosition(KeyValue key, Object position) {
            return inner.putKeyPosition(key, position);
        }

        @Override
        protected Iterable<Map.Entry<KeyValue, Object>> getIterable() {
            return inner.getIterable();
        }

        @Override
        protected Object getPosition(KeyValue key) {
            return inner.getPosition(key);
        }

        @Override
        public long getCount() {
            return inner.getCount();
        }

        @Override
        public boolean isEmpty() {
            return inner.isEmpty();
        }

        @Override
        public long getDataSize() {
            return inner.getDataSize();
        }
    }
}
