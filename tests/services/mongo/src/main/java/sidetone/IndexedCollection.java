package sidetone;

import org.h2.mvstore.MVMap;

import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.h2.H2Collection;
import de.bwaldvogel.mongo.bson.Document;

/**
 * Finds by a unique index whenever one condition of a filter can use it; the other conditions are looked at afterwards.
 * The library does so only if the filter has that condition alone, and reads the whole collection otherwise: a thousand
 * filters of (leg, revision below R) on ten thousand documents took minutes.
 */
final class IndexedCollection extends H2Collection {
    IndexedCollection(MongoDatabase database, String name, CollectionOptions options, MVMap<Object, Document> data,
                      MVMap<String, Object> meta, CursorRegistry cursors) {
        super(database, name, options, data, meta, cursors);
    }

    @Override
    protected QueryResult queryDocuments(Document query, Document orderBy, int skip, int limit, int batchSize,
                                         Document fields) {
        for (String key : query.keySet()) {
            Document condition = new Document(key, query.get(key));
            for (Index<Object> index : getIndexes()) {
                if (index.canHandle(condition)) {
                    return matchDocuments(query, index.getPositions(condition), orderBy, skip, limit, batchSize, fields);
                }
            }
        }
        return super.queryDocuments(query, orderBy, skip, limit, batchSize, fields);
    }
}
