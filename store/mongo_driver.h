/* libmongoc, whose headers do not live up to our warnings. Private to store/mongo*.c. */
#ifndef STORE_MONGO_DRIVER_H
#define STORE_MONGO_DRIVER_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <mongoc/mongoc.h>
#pragma GCC diagnostic pop

#endif
