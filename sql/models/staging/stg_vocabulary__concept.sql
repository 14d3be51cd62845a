with source as (
    select * from vocabulary.concept
),

final as (
    select
        concept_id,
        concept_name,
        domain_id,
        vocabulary_id,
        concept_class_id,
        coalesce(standard_concept, 'N') as standard_concept,
        concept_code,
        valid_start_date,
        valid_end_date,
        invalid_reason
    from source
)

select * from final
