with seed as (
    select * from staging.seed_concept_set
),

concept as (
    select * from staging.stg_vocabulary__concept
),

concept_map as (
    select * from staging.stg_vocabulary__concept_map
),

concept_ancestor as (
    select * from staging.stg_vocabulary__concept_ancestor
),

named as (
    select
        seed.concept_set,
        seed.title,
        seed.kind,
        concept.concept_id
    from seed
    inner join concept
        on seed.vocabulary_id = concept.vocabulary_id
        and seed.concept_code = concept.concept_code
),

mapped as (
    select concept_set, title, kind, concept_id from named
    union
    select
        named.concept_set,
        named.title,
        named.kind,
        concept_map.standard_concept_id as concept_id
    from named
    inner join concept_map on named.concept_id = concept_map.source_concept_id
),

widened as (
    select concept_set, title, kind, concept_id from mapped
    union
    select
        mapped.concept_set,
        mapped.title,
        mapped.kind,
        concept_ancestor.descendant_concept_id as concept_id
    from mapped
    inner join concept_ancestor on mapped.concept_id = concept_ancestor.ancestor_concept_id
),

final as (
    select
        widened.concept_set,
        widened.title,
        widened.kind,
        widened.concept_id,
        concept.concept_name,
        concept.vocabulary_id,
        concept.concept_code
    from widened
    inner join concept on widened.concept_id = concept.concept_id
)

select * from final
